"""The routes that say what holds a host back, and what would help."""

import math

from flask import Blueprint, Response
from msgspec import Struct, to_builtins
from msgspec.structs import replace
from sqlalchemy import Connection

from api.answers import answer
from api.bottleneck import judge
from api.context import context
from api.findings import METRICS, Average
from api.operations import operation
from api.parsing import bad_field
from api.references import HostId, HostReference, default_host, host_in_field
from api.suggestions import OpenEvent
from store import events, hosts, metrics
from store.engine import reading
from store.metrics import Series
from wire.snapshot import Details, Unreadable, decode_details
from wire.text import storable

blueprint = Blueprint("optimize", __name__, url_prefix="/api/agent/optimize")

_MOST_EVENTS = 200
_RANGE_SECONDS = 900
_RECENT_SECONDS = 30


class OptimizeQuery(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name."""

    host: HostReference | None = None


class OptimizeBody(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name."""

    host: HostId | HostReference | None = None


@blueprint.get("")
@operation(query=OptimizeQuery)
def show(asked: OptimizeQuery) -> Response:
    """Say what holds a host back, by the last quarter of an hour, and what would help."""
    return _analysis(asked.host)


@blueprint.post("")
@operation(body=OptimizeBody)
def make(asked: OptimizeBody) -> Response:
    """Say what holds a host back, by the last quarter of an hour, and what would help."""
    return _analysis(asked.host)


def _analysis(reference: str | int | None) -> Response:
    now = context().now()
    with reading(context().engine) as connection:
        host = (
            default_host(connection, context().own_host) if reference is None else host_in_field(connection, reference)
        )
        if host is None:
            raise bad_field(
                "host", "is needed: this machine is no host, and there is not just one; give an id or a name"
            )
        verdict = judge(
            _averages(connection, host.id, now), _details(connection, host.id), _open_events(connection, host.id)
        )
    return answer({"host": host.name, **to_builtins(verdict)})


def _averages(connection: Connection, host_id: int, now: float) -> dict[str, Average]:
    whole = metrics.series(connection, host_id, METRICS, metrics.Buckets(math.floor(now) - _RANGE_SECONDS, 30, 31))
    # Two snapshots at least, whatever the host's pace.
    last_seconds = max(_RECENT_SECONDS, math.ceil(2 * metrics.interval_seconds(connection, host_id)))
    recent = metrics.series(
        connection, host_id, METRICS, metrics.Buckets(math.floor(now) - last_seconds, last_seconds + 1, 1)
    )
    return {
        name: Average(_mean(one), _mean(recent[name]) if recent[name].avg else one.avg[-1])
        for name, one in whole.items()
        if one.avg
    }


def _mean(series: Series) -> float:
    return sum(series.avg) / len(series.avg)


def _details(connection: Connection, host_id: int) -> Details:
    stored = hosts.details(connection, host_id)
    try:
        details = Details() if stored is None else decode_details(stored.details)
    except Unreadable:
        return Details()
    return _storable(details)


def _storable(details: Details) -> Details:
    """Return the details with the texts that are shown as the events have them."""
    shown = {"processes_by_cpu": "name", "processes_by_memory": "name", "filesystems": "mount"}
    changed = {
        part: tuple(replace(one, **{name: storable(getattr(one, name))}) for one in getattr(details, part))
        for part, name in shown.items()
    }
    return replace(details, **changed)


def _open_events(connection: Connection, host_id: int) -> list[OpenEvent]:
    found = events.page(connection, events.EventFilter(host_id=host_id, state="open"), limit=_MOST_EVENTS)
    return [OpenEvent(event.id, event.type, event.subject) for event in found]
