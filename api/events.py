"""Routes of events."""

from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from flask import Blueprint, Response
from msgspec import Meta, Struct
from sqlalchemy import Connection

from api.announcements import announce_events
from api.answers import answer, listing, rfc3339
from api.auth import who
from api.context import context
from api.operations import operation
from api.parsing import Cursor, Limit, Moment, read_cursor, unix_seconds, write_cursor
from api.problems import Problem
from api.references import EVERY_HOST, HostReference, RowId, host_in_field, id_in_path
from store import event_notes, events, monitoring
from store.engine import reading, writing

blueprint = Blueprint("events", __name__, url_prefix="/api/v1/events")

Note = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]

_EVIDENCE_TIMES = frozenset({"taken_at", "start_time", "last_seen", "trend_since_at", "at"})


class _Cursor(NamedTuple):
    opened_at: float
    id: RowId


class EventsQuery(Struct, forbid_unknown_fields=True):
    """Which events to list: of one host by id or name, or of all; ``since`` is when they opened at the earliest.

    ``muted`` is whether they are muted now, or were until they resolved; ``maintenance`` the window that mutes or
    has muted them; ``incident`` the one that they are in.
    """

    type: Annotated[str, Meta(pattern="^[a-z_]{1,64}$")] | None = None
    severity: events.Severity | None = None
    state: events.State | None = None
    host: HostReference | None = None
    since: Moment | None = None
    muted: bool | None = None
    maintenance: RowId | None = None
    incident: RowId | None = None
    limit: Limit = 100


class EventPageQuery(EventsQuery, forbid_unknown_fields=True):
    """Which page of events to list."""

    cursor: Cursor | None = None


class CareBody(Struct, forbid_unknown_fields=True):
    """What is written on the event with it, if anything."""

    note: Note | None = None


class NoteBody(Struct, forbid_unknown_fields=True):
    """What is written on the event."""

    note: Note


class NotesQuery(Struct, forbid_unknown_fields=True):
    """Which page of notes to list."""

    limit: Limit = 100
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
    with reading(context().engine) as connection:
        event = _found(connection, event_id)
    return answer(event_document(event))


@blueprint.post("/<event_id>/acknowledge")
@operation(body=CareBody)
def acknowledge(asked: CareBody, event_id: str) -> Response:
    """Acknowledge an open event: somebody looks after it.

    Who did so first stays. It is forgotten when the event opens again. A 409 says that the event has resolved.
    """
    now = context().now()
    with writing(context().engine) as connection:
        event = _found(connection, event_id)
        if not monitoring.acknowledge(connection, event.id, who(), now):
            raise Problem(HTTPStatus.CONFLICT, f"event {event.id} has resolved: there is nothing to acknowledge")
        changed = _noted(connection, event, asked.note, now)
    announce_events([event.host_id])
    return answer(event_document(changed))


@blueprint.post("/<event_id>/resolve")
@operation(body=CareBody)
def resolve(asked: CareBody, event_id: str) -> Response:
    """Resolve an event by hand; one that has resolved stays as it is.

    It stays resolved while what it tells of goes on, and opens again when that comes back after it was over.
    """
    now = context().now()
    with writing(context().engine) as connection:
        event = _found(connection, event_id)
        monitoring.resolve(connection, event.id, who(), now)
        changed = _noted(connection, event, asked.note, now)
    announce_events([event.host_id])
    return answer(event_document(changed))


@blueprint.get("/<event_id>/notes")
@operation(query=NotesQuery)
def list_notes(asked: NotesQuery, event_id: str) -> Response:
    """List what was written on an event, the first note first."""
    after = None if asked.cursor is None else read_cursor(asked.cursor, RowId)
    with reading(context().engine) as connection:
        event = _found(connection, event_id)
        found = event_notes.page(connection, event.id, asked.limit + 1, after)
    shown = found[: asked.limit]
    following = write_cursor(shown[-1].id) if found != shown else None
    return listing([_note_document(note) for note in shown], following)


@blueprint.post("/<event_id>/notes")
@operation(body=NoteBody, statuses=(HTTPStatus.CREATED,))
def add_note(asked: NoteBody, event_id: str) -> Response:
    """Write a note on an event."""
    with writing(context().engine) as connection:
        event = _found(connection, event_id)
        note = event_notes.add(connection, event.id, asked.note, who(), context().now())
    announce_events([event.host_id])
    written = answer(_note_document(note))
    written.status_code = HTTPStatus.CREATED
    return written


def _noted(connection: Connection, event: events.Event, note: str | None, now: float) -> events.Event:
    """Write the note that came with a change of an event; return the event as it is now."""
    if note is not None:
        event_notes.add(connection, event.id, note, who(), now)
    return events.find(connection, event.id) or event


def _found(connection: Connection, event_id: str) -> events.Event:
    """Return the event that a path names. Raises Problem (404)."""
    wanted = id_in_path(event_id)
    event = None if wanted is None else events.find(connection, wanted)
    if event is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no event has the id {event_id!r}")
    return event


def event_filter(connection: Connection, asked: EventsQuery, *, hide_cleared: bool) -> events.EventFilter:
    """Return what the store is to look for. Raises Problem for a host that there is not."""
    return events.EventFilter(
        type=asked.type,
        severity=asked.severity,
        state=asked.state,
        host_id=None if asked.host in (None, EVERY_HOST) else host_in_field(connection, asked.host).id,
        since=None if asked.since is None else unix_seconds(asked.since, "since"),
        muted=asked.muted,
        maintenance_id=asked.maintenance,
        incident_id=asked.incident,
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
        "resolved_by": event.resolved_by,
        "acknowledged_at": rfc3339(event.acknowledged_at),
        "acknowledged_by": event.acknowledged_by,
        "flapping": event.flapping,
        "openings": event.openings,
        "reopened_at": rfc3339(event.reopened_at),
        "notes": event.notes,
        "cleared": event.cleared_at is not None,
        "evidence": _with_times(event.evidence),
        "incident_id": event.incident_id,
        "muted": event.muted,
        "muted_by": None if event.muted_by is None else {"kind": event.muted_by, "id": event.muted_by_id},
        "explanation": event.explanation,
        "script_id": event.script_id,
    }


def _note_document(note: event_notes.Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "written_at": rfc3339(note.written_at),
        "written_by": note.written_by,
        "note": note.note,
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
