"""The catalogue of remedies: what the workers can render, published by them for the API to show and check by."""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store import own_remedies
from store.schema import remedies
from wire.text import storable

ScriptType = Literal["bash", "powershell"]
SCRIPT_TYPES: tuple[ScriptType, ...] = ("bash", "powershell")
Risk = Literal["low", "medium", "high"]
Value = int | float | str | bool | None
"""Of a parameter; None where it is optional and was not given."""

BUILT_IN = "built-in"
"""The source of a remedy that comes with the product."""

_MAX_TEXT_LENGTH = 1024


class Parameter(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """One parameter of a remedy, and what it may be."""

    name: str
    type: Literal["integer", "number", "string", "boolean"]
    description: str
    required: bool = False
    default: int | float | str | bool | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    max_length: int = _MAX_TEXT_LENGTH
    pattern: str | None = None
    """A regular expression that the whole of a string matches."""
    choices: tuple[str, ...] = ()


class Remedy(Struct, frozen=True, forbid_unknown_fields=True):
    """A fix: what it is for, what it takes, and what it may do. Sizes and durations have their units in their names."""

    issue_type: str
    title: str
    description: str
    version: str
    events: tuple[str, ...]
    """The types of event that it answers."""
    risk: Risk
    requires_admin: bool
    parameters: tuple[Parameter, ...] = ()
    script_types: tuple[ScriptType, ...] = SCRIPT_TYPES
    source: str = BUILT_IN
    """``built-in``, or the folder that a user put it into."""


class BadParameter(ValueError):
    """A parameter that is missing, unknown or out of its bounds; the message says which and what it may be."""

    def __init__(self, name: str, fault: str) -> None:
        """Say of the parameter ``name`` what is wrong; ``fault`` reads on from its name."""
        super().__init__(f"{name} {fault}")
        self.name = name
        self.fault = fault


def complete(remedy: Remedy, given: Mapping[str, object]) -> dict[str, Value]:
    """Return the value of every parameter of a remedy, defaults filled in. Raises BadParameter."""
    known = {parameter.name for parameter in remedy.parameters}
    for name in given:
        if name not in known:
            raise BadParameter(name, f"is no parameter of {remedy.issue_type}: it takes {_listed(known)}")
    return {parameter.name: check(parameter, given.get(parameter.name)) for parameter in remedy.parameters}


def check(parameter: Parameter, value: object) -> Value:
    """Return the value as the parameter has it, its default for None. Raises BadParameter."""
    if value is None:
        if parameter.required:
            raise BadParameter(parameter.name, f"is needed: {bounds(parameter)} ({parameter.description})")
        return parameter.default
    fitting = _fitting(parameter, value)
    if fitting is None:
        raise BadParameter(parameter.name, f"must be {bounds(parameter)}")
    return fitting


def bounds(parameter: Parameter) -> str:
    """Return in words what a parameter may be: ``an integer from 2 to 4194304``."""
    if parameter.choices:
        return f"one of {_listed(parameter.choices)}"
    kind = {"integer": "an integer", "number": "a number", "string": "a string", "boolean": "true or false"}
    words = kind[parameter.type]
    if parameter.type == "string":
        words += f" of at most {parameter.max_length} characters"
        return f"{words} that matches {parameter.pattern}" if parameter.pattern else words
    if parameter.minimum is not None:
        words += f" from {parameter.minimum}"
    if parameter.maximum is not None:
        words += f" to {parameter.maximum}" if parameter.minimum is not None else f" up to {parameter.maximum}"
    return words


def publish(connection: Connection, published: Iterable[Remedy], now: float) -> None:
    """Put these remedies in the place of those that are there; two at a time do each other no harm."""
    rows = [
        {"issue_type": one.issue_type, "document": msgspec.to_builtins(one), "published_at": now} for one in published
    ]
    connection.execute(delete(remedies).where(remedies.c.issue_type.not_in([row["issue_type"] for row in rows])))
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        new = dialect.insert(remedies)
        changed = {name: new.excluded[name] for name in ("document", "published_at")}
        connection.execute(new.on_conflict_do_update(index_elements=[remedies.c.issue_type], set_=changed), rows)


def built_in(connection: Connection) -> list[Remedy]:
    """Return the remedies that come with the product, as the workers published them, by issue type."""
    query = select(remedies.c.document).order_by(remedies.c.issue_type)
    return [msgspec.convert(document, Remedy) for document in connection.execute(query).scalars()]


def own(connection: Connection) -> dict[str, tuple[Remedy, dict[ScriptType, str]]]:
    """Return the good ones of the remedies that users added, with their scripts by type, by issue type.

    What workers of another version published, and this one cannot read, is left out.
    """
    known = {}
    for row in own_remedies.in_force(connection):
        try:
            remedy = msgspec.convert(row.document, Remedy)
            known[remedy.issue_type] = remedy, msgspec.convert(row.scripts, dict[ScriptType, str])
        except msgspec.ValidationError:
            continue
    return known


def catalogue(connection: Connection) -> list[Remedy]:
    """Return all remedies that scripts can be made of, by issue type: the built-in ones and what users added."""
    known = {issue_type: remedy for issue_type, (remedy, _) in own(connection).items()}
    known |= {remedy.issue_type: remedy for remedy in built_in(connection)}
    return [known[issue_type] for issue_type in sorted(known)]


def find(connection: Connection, issue_or_event_type: str) -> Remedy | None:
    """Return a remedy by its own name or by a type of event that it answers, None where there is none."""
    known = catalogue(connection)
    by_name = (one for one in known if one.issue_type == issue_or_event_type)
    return next(by_name, None) or by_event(known).get(issue_or_event_type)


def by_event(known: Iterable[Remedy]) -> dict[str, Remedy]:
    """Return the remedy that answers a type of event, for each type that has one.

    Of several it is one with scripts for every platform, of these one that a user added, of these the first by name.
    """
    ordered = sorted(
        known, key=lambda one: (len(one.script_types) < len(SCRIPT_TYPES), one.source == BUILT_IN, one.issue_type)
    )
    return {event: remedy for remedy in reversed(ordered) for event in remedy.events}


def _fitting(parameter: Parameter, value: Any) -> Value:
    """Return the value as the parameter's type has it, None where it does not fit."""
    if parameter.type == "boolean":
        return value if isinstance(value, bool) else None
    if parameter.type == "string":
        return value if isinstance(value, str) and _is_allowed(parameter, value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        return None
    if parameter.type == "integer" and value != int(value):
        return None
    if parameter.minimum is not None and value < parameter.minimum:
        return None
    if parameter.maximum is not None and value > parameter.maximum:
        return None
    return int(value) if parameter.type == "integer" else float(value)


def _is_allowed(parameter: Parameter, value: str) -> bool:
    if parameter.choices:
        return value in parameter.choices
    # Also without NUL and lone surrogates, which neither a script nor a database could keep.
    if storable(value, parameter.max_length) != value:
        return False
    return parameter.pattern is None or re.fullmatch(parameter.pattern, value) is not None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"
