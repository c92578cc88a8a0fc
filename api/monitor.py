"""Routes of monitoring: start and stop it, how it stands, what it found."""

from http import HTTPStatus

from flask import Blueprint, Response
from msgspec import Struct
from sqlalchemy import Connection

from api.answers import answer
from api.context import context
from api.events import EventsQuery, event_document, event_filter
from api.operations import operation
from api.parsing import bad_field
from api.problems import Problem
from api.queue import QueueDown
from api.references import EVERY_HOST, HostId, HostReference, default_host, host_in_field
from store import events, hosts, monitoring
from store.engine import reading, writing
from wire.keys import QUEUE_INGEST, TASK_PUBLISH_CONFIGS

blueprint = Blueprint("monitor", __name__, url_prefix="/api/agent/monitor")

_RECENT_EVENTS = 10


class HostBody(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name; ``*`` is the whole fleet."""

    host: HostId | HostReference | None = None


class HostQuery(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name; ``*`` is the whole fleet."""

    host: HostReference | None = None


@blueprint.post("/start")
@operation(body=HostBody)
def start(asked: HostBody) -> Response:
    """Resume the collectors of a host or of the fleet."""
    return _set_paused(asked, False)


@blueprint.post("/stop")
@operation(body=HostBody)
def stop(asked: HostBody) -> Response:
    """Pause the collectors of a host or of the fleet."""
    return _set_paused(asked, True)


@blueprint.get("/status")
@operation(query=HostQuery)
def status(asked: HostQuery) -> Response:
    """Show how one host is, and the fleet around it; without a host that can be meant, the fleet alone."""
    with reading(context().engine) as connection:
        meant = _meant(connection, asked.host)
        fleet = hosts.fleet(connection)
        host = hosts.find(connection, str(meant.id)) if meant else None
        wanted = events.EventFilter(host_id=meant.id if meant else None, hide_cleared=True)
        recent = events.page(connection, wanted, limit=_RECENT_EVENTS)
    return answer(
        {
            "running": not host.paused if host else fleet.monitored > 0,
            "host": host.name if host else EVERY_HOST,
            "health": {
                "status": host.health if host else _worst(fleet),
                "open_events": host.open_events if host else fleet.open_events,
                "metrics": host.metrics if host else None,
                "hosts": {
                    **fleet.hosts_by_health,
                    "total": sum(fleet.hosts_by_health.values()),
                    "monitored": fleet.monitored,
                },
            },
            "recent_events": [event_document(event) for event in recent],
        }
    )


@blueprint.get("/events")
@operation(query=EventsQuery)
def list_events(asked: EventsQuery) -> Response:
    """List the last events that nobody cleared."""
    with reading(context().engine) as connection:
        wanted = event_filter(connection, asked, hide_cleared=True)
        found = events.page(connection, wanted, limit=asked.limit)
    return answer({"events": [event_document(event) for event in found], "count": len(found)})


@blueprint.post("/clear")
@operation(body=HostBody)
def clear(asked: HostBody) -> Response:
    """Hide resolved events from the default view: of one host, or of all when none is named."""
    with writing(context().engine) as connection:
        host = None if asked.host in (None, EVERY_HOST) else host_in_field(connection, asked.host)
        cleared = monitoring.clear_resolved(connection, host.id if host else None, context().now())
    return answer({"cleared": cleared})


def _set_paused(asked: HostBody, paused: bool) -> Response:
    """Commit the change, then have the workers publish it: in the other order they could publish the old state."""
    with writing(context().engine) as connection:
        host = _meant(connection, asked.host)
        if host is None and asked.host != EVERY_HOST:
            raise bad_field(
                "host",
                "is needed: this machine is no host, and there is not just one; give an id, a name, or * for all",
            )
        count = monitoring.set_paused(connection, host.id if host else None, paused, context().now())
    try:
        context().queue.send(QUEUE_INGEST, TASK_PUBLISH_CONFIGS, [[host.id] if host else None])
    except QueueDown:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the change is stored, but Redis does not answer: it reaches the hosts when Redis is back",
        ) from None
    return answer({"running": not paused, "host": host.name if host else EVERY_HOST, "hosts": count})


def _meant(connection: Connection, reference: str | int | None) -> hosts.HostName | None:
    """Return the one host that is meant; None for the fleet, or where nothing says which host."""
    if reference == EVERY_HOST:
        return None
    if reference is None:
        return default_host(connection, context().own_host)
    return host_in_field(connection, reference)


def _worst(fleet: hosts.Fleet) -> hosts.Health:
    by_severity: tuple[hosts.Health, ...] = ("critical", "warning", "healthy")
    return next((health for health in by_severity if fleet.hosts_by_health[health]), "unknown")
