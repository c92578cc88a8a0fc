"""Routes of events."""

from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from flask import Blueprint, Response
from msgspec import Meta, Struct
from sqlalchemy import Connection

from api.answers import answer, listing, rfc3339
from api.context import context
from api.operations import operation
from api.parsing import Cursor, Limit, Moment, read_cursor, unix_seconds, write_cursor
from api.problems import Problem
from api.references import EVERY_HOST, HostReference, RowId, host_in_field, id_in_path
from store import events
from store.engine import reading

blueprint = Blueprint("events", __name__, url_prefix="/api/v1/events")

_EVIDENCE_TIMES = frozenset({"taken_at", "start_time", "last_seen"})


class _Cursor(NamedTuple):
    opened_at: float
    id: RowId


class EventsQuery(Struct, forbid_unknown_fields=True):
    """Which events to list: of one host by id or name, or of all; ``since`` is when they opened at the earliest."""

    type: Annotated[str, Meta(pattern="^[a-z_]{1,64}$")] | None = None
    severity: events.Severity | None = None
    state: events.State | None = None
    host: HostReference | None = None
    since: Moment | None = None
    limit: Limit = 100


class EventPageQuery(EventsQuery, forbid_unknown_fields=True):
    """Which page of events to list."""

    cursor: Cursor | None = None


@blueprint.get("")
@operation(query=EventPageQuery)
def list_events(asked: EventPageQuery) -> Response:
    """List events, the last opened first, cleared ones included."""
    after = None if asked.cursor is None else events.Place(*read_cursor(asked.cursor, _Cursor))
    with reading(context().engine) as connection:
        wanted = event_filter(connection, asked, hide_cleared=False)
        found = events.page(connection, wanted, limit=asked.limit + 1, after=after)
    shown = found[: asked.limit]
    following = write_cursor(events.Place(shown[-1].opened_at, shown[-1].id)) if found != shown else None
    return listing([event_document(event) for event in shown], following)


@blueprint.get("/<event_id>")
@operation()
def show_event(event_id: str) -> Response:
    """Show one event."""
    wanted = id_in_path(event_id)
    with reading(context().engine) as connection:
        event = None if wanted is None else events.find(connection, wanted)
    if event is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no event has the id {event_id!r}")
    return answer(event_document(event))


def event_filter(connection: Connection, asked: EventsQuery, *, hide_cleared: bool) -> events.EventFilter:
    """Return what the store is to look for. Raises Problem for a host that there is not."""
    return events.EventFilter(
        type=asked.type,
        severity=asked.severity,
        state=asked.state,
        host_id=None if asked.host in (None, EVERY_HOST) else host_in_field(connection, asked.host).id,
        since=None if asked.since is None else unix_seconds(asked.since, "since"),
        hide_cleared=hide_cleared,
    )


def event_document(event: events.Event) -> dict[str, Any]:
    """Return an event as JSON shows it; its subject is the host's name where the host itself is meant."""
    return {
        "id": event.id,
        "host": event.host,
        "host_id": event.host_id,
        "type": event.type,
        "subject": event.subject or event.host,
        "severity": event.severity,
        "state": event.state,
        "value": event.value,
        "limit": event.limit_value,
        "first_value": event.first_value,
        "peak_value": event.peak_value,
        "peak_at": rfc3339(event.peak_at),
        "started_at": rfc3339(event.started_at),
        "opened_at": rfc3339(event.opened_at),
        "last_at": rfc3339(event.last_at),
        "resolved_at": rfc3339(event.resolved_at),
        "cleared": event.cleared_at is not None,
        "evidence": _with_times(event.evidence),
        "script_id": event.script_id,
    }


def _with_times(evidence: Any) -> Any:
    """Return evidence, or a part of it, with its Unix times as RFC 3339."""
    if isinstance(evidence, list):
        return [_with_times(part) for part in evidence]
    if not isinstance(evidence, dict):
        return evidence
    return {
        name: rfc3339(part) if name in _EVIDENCE_TIMES and isinstance(part, int | float) else _with_times(part)
        for name, part in evidence.items()
    }
