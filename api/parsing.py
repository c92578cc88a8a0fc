"""What comes in: query parameters, bodies, cursors. What does not fit is a 400 that names the field."""

import base64
import binascii
import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, NoReturn, TypeVar

import msgspec
from flask import request
from msgspec import Meta, Struct

from api.answers import MAX_TIME
from api.problems import Problem

MAX_BODY_BYTES = 1024 * 1024

Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[str, Meta(max_length=512)]
Moment = Annotated[float, Meta(ge=0, le=MAX_TIME)] | Annotated[datetime, Meta(tz=True)]
"""A time as RFC 3339 or as Unix seconds."""

Parsed = TypeVar("Parsed", bound=Struct)
Place = TypeVar("Place")

# msgspec names the field only in the text of its error.
_MISSING_FIELD = re.compile(r"missing required field `(.*)`")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`", re.DOTALL)
_FAULT_AT_FIELD = re.compile(r"(.*) - at `\$\.(\w+).*`", re.DOTALL)


class NoParameters(Struct, forbid_unknown_fields=True):
    """The query of a route that takes none."""


def query(wanted: type[Parsed]) -> Parsed:
    """Read the query parameters of the present request. Raises Problem, also for an unknown or a repeated one."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise bad_field(name, "is given more than once")
    try:
        asked = msgspec.convert(request.args.to_dict(), wanted, strict=False)
    except msgspec.ValidationError as error:
        _refuse(error, wanted)
    # The text "null" becomes None where no text is wanted: what is left out, and that alone, is None.
    for field, name in zip(wanted.__struct_fields__, wanted.__struct_encode_fields__, strict=True):
        if name in request.args and getattr(asked, field) is None:
            raise bad_field(name, "does not fit: null cannot be given")
    return asked


def body(wanted: type[Parsed]) -> Parsed:
    """Read the JSON body of the present request; an empty one means all defaults. Raises Problem.

    The content type must say JSON: no form of another site can then make a change.
    """
    query(NoParameters)
    sent = request.get_data(cache=False)
    if sent and not request.is_json:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be JSON: send Content-Type: application/json")
    try:
        return msgspec.json.decode(sent or b"{}", type=wanted)
    except msgspec.ValidationError as error:
        _refuse(error, wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


def unix_seconds(moment: float | datetime, field: str) -> float:
    """Return the moment that a field holds as the store has it. Raises Problem for one before 1970 or after 9999."""
    seconds = moment.timestamp() if isinstance(moment, datetime) else moment
    if not 0 <= seconds <= MAX_TIME:
        raise bad_field(field, "is out of range: 1970 to 9999 can be asked for")
    return seconds


def bad_field(field: str, fault: str) -> Problem:
    """Return the problem of one field, to be raised; ``fault`` reads on from the field's name."""
    return Problem(HTTPStatus.BAD_REQUEST, f"{field} {fault}", field=field)


def write_cursor(place: object) -> str:
    """Return an opaque cursor for the place where the next page starts."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str, wanted: type[Place]) -> Place:
    """Read a cursor that was handed out. Raises Problem."""
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(place, type=wanted)
    except (ValueError, binascii.Error, RecursionError):
        raise bad_field("cursor", "is none that this API handed out: start again without it") from None


def _refuse(error: msgspec.ValidationError, wanted: type[Struct]) -> NoReturn:
    if missing := _MISSING_FIELD.search(str(error)):
        raise bad_field(missing[1], "is needed") from None
    if unknown := _UNKNOWN_FIELD.search(str(error)):
        known = ", ".join(sorted(wanted.__struct_encode_fields__)) or "no fields"
        raise bad_field(unknown[1], f"is not known here: there are {known}") from None
    if fault := _FAULT_AT_FIELD.fullmatch(str(error)):
        raise bad_field(fault[2], f"does not fit: {fault[1]}") from None
    raise Problem(HTTPStatus.BAD_REQUEST, f"the body does not fit: {error}") from None
