"""Which host is meant: by its id or name in a path or a field, or by saying nothing."""

from http import HTTPStatus
from typing import Annotated

from msgspec import Meta
from sqlalchemy import Connection

from api.parsing import bad_field
from api.problems import Problem
from store import hosts

EVERY_HOST = "*"

HostReference = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[^\x00]*$")]
"""The id or the name of a host, or how a name begins. No database takes a NUL."""
HostId = Annotated[int, Meta(ge=1, le=hosts.MAX_ID)]
RowId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""The id of an event or a script."""

_MAX_ID_DIGITS = 18


def id_in_path(text: str) -> int | None:
    """Return the id that a path names; None where no row can have it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS else None


def no_such_host(reference: str) -> Problem:
    """Return the problem of a path that names no host."""
    return Problem(HTTPStatus.NOT_FOUND, f"no host has the id or name {reference!r}")


def host_in_path(connection: Connection, reference: str) -> hosts.HostName:
    """Return the host that a path names. Raises Problem (404)."""
    host = hosts.identify(connection, reference)
    if host is None:
        raise no_such_host(reference)
    return host


def host_in_field(connection: Connection, reference: str | int) -> hosts.HostName:
    """Return the host that the field ``host`` names. Raises Problem (400)."""
    host = hosts.identify(connection, str(reference))
    if host is None:
        raise bad_field("host", f"names none: no host has the id or name {str(reference)!r}")
    return host


def default_host(connection: Connection, own_host: str | None) -> hosts.HostName | None:
    """Return the host that is meant when none is named: this machine, else the only one, else None."""
    own = hosts.identify(connection, own_host) if own_host else None
    return own or hosts.only(connection)
