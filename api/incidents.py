"""Routes of incidents: the events that belong together."""

from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Blueprint, Response
from msgspec import Struct

from api.answers import answer, listing, rfc3339
from api.context import context
from api.events import event_document
from api.operations import operation
from api.parsing import Cursor, Limit, Moment, read_cursor, unix_seconds, write_cursor
from api.problems import Problem
from api.references import EVERY_HOST, HostReference, RowId, host_in_field, id_in_path
from store import events, incidents
from store.engine import reading

blueprint = Blueprint("incidents", __name__, url_prefix="/api/v1/incidents")

_MEMBERS_SHOWN = 100


class _Cursor(NamedTuple):
    opened_at: float
    id: RowId


class IncidentsQuery(Struct, forbid_unknown_fields=True):
    """Which incidents to list: with an event of one host by id or name, or all; ``since`` is when they opened."""

    state: events.State | None = None
    host: HostReference | None = None
    since: Moment | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@blueprint.get("")
@operation(query=IncidentsQuery)
def list_incidents(asked: IncidentsQuery) -> Response:
    """List incidents, the last opened first.

    An event joins an incident within seconds of its opening. An incident is resolved when all its events are, and
    opens again with one of them.
    """
    after = None if asked.cursor is None else incidents.Place(*read_cursor(asked.cursor, _Cursor))
    with reading(context().engine) as connection:
        wanted = incidents.IncidentFilter(
            state=asked.state,
            host_id=None if asked.host in (None, EVERY_HOST) else host_in_field(connection, asked.host).id,
            since=None if asked.since is None else unix_seconds(asked.since, "since"),
        )
        found = incidents.page(connection, wanted, limit=asked.limit + 1, after=after)
    shown = found[: asked.limit]
    following = write_cursor(incidents.Place(shown[-1].opened_at, shown[-1].id)) if found != shown else None
    return listing([incident_document(incident) for incident in shown], following)


@blueprint.get("/<incident_id>")
@operation()
def show_incident(incident_id: str) -> Response:
    """Show one incident with its events, the last opened first, as many as 100.

    ``/api/v1/events?incident=`` lists all of them by pages. The id of an incident that was taken over by one of more
    hosts shows that one.
    """
    wanted = id_in_path(incident_id)
    with reading(context().engine) as connection:
        incident = None if wanted is None else incidents.find(connection, wanted)
        if incident is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"no incident has the id {incident_id!r}")
        members = events.page(connection, events.EventFilter(incident_id=incident.id), limit=_MEMBERS_SHOWN)
    return answer(incident_document(incident) | {"members": [event_document(event) for event in members]})


def incident_document(incident: incidents.Incident) -> dict[str, Any]:
    """Return an incident as JSON shows it."""
    return {
        "id": incident.id,
        "title": _title(incident),
        "state": "resolved" if incident.open_events == 0 else "open",
        "severity": incident.severity,
        "host": incident.host,
        "host_id": incident.host_id,
        "type": incident.type,
        "tags": incident.tags,
        "opened_at": rfc3339(incident.opened_at),
        "last_opened_at": rfc3339(incident.last_opened_at),
        "resolved_at": rfc3339(incident.resolved_at),
        "hosts": incident.hosts,
        "events": incident.events,
        "open_events": incident.open_events,
        "muted_events": incident.muted_events,
        "cause": event_document(incident.cause),
    }


def _title(incident: incidents.Incident) -> str:
    if incident.type is not None:
        where = f"tagged {incident.tags[0]}" if incident.tags else "across the fleet"
        return f"{incident.type} on {incident.hosts} {'host' if incident.hosts == 1 else 'hosts'} {where}"
    others = incident.events - 1
    subject = f" of {incident.cause.subject}" if incident.cause.subject else ""
    return f"{incident.cause.type}{subject} on {incident.host}{f', and {others} more' if others else ''}"
