"""Routes of hosts: what they are, how they are, their history."""

from typing import Annotated, Any, NamedTuple

import msgspec
from flask import Blueprint, Response
from msgspec import Meta, Struct

from api.answers import answer, listing, rfc3339
from api.context import context
from api.ledger import gap_document, ledger_document
from api.operations import operation
from api.parsing import Cursor, Limit, Moment, bad_field, read_cursor, unix_seconds, write_cursor
from api.references import HostReference, RowId, host_in_path, no_such_host
from store import accounts, hosts, maintenance, metrics
from store.engine import reading
from wire.metrics import INDEX
from wire.snapshot import Details, Unreadable, decode_details

blueprint = Blueprint("hosts", __name__, url_prefix="/api/v1/hosts")

_DEFAULT_NAMES = (
    "cpu_percent",
    "load_1",
    "memory_percent",
    "swap_percent",
    "disk_percent",
    "disk_busy_percent",
    "network_receive_bytes_per_second",
    "network_transmit_bytes_per_second",
)
_DEFAULT_RANGE_SECONDS = 3600.0
_GAPS_SHOWN = 20


class HostsQuery(Struct, forbid_unknown_fields=True):
    """Which hosts to list; ``name`` is how their names begin."""

    limit: Limit = 100
    cursor: Cursor | None = None
    health: hosts.Health | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] | None = None
    name: HostReference | None = None


class GapsQuery(Struct, forbid_unknown_fields=True):
    """Which page of gaps to list."""

    limit: Limit = 100
    cursor: Cursor | None = None


class _GapCursor(NamedTuple):
    received_at: float
    incarnation: RowId
    first: RowId


class MetricsQuery(Struct, forbid_unknown_fields=True):
    """Which history to show: ``names`` separated by commas, the last hour unless ``from`` or ``to`` say otherwise."""

    names: str | None = None
    start: Moment | None = msgspec.field(default=None, name="from")
    end: Moment | None = msgspec.field(default=None, name="to")
    points: Annotated[int, Meta(ge=2, le=2000)] = 120


@blueprint.get("")
@operation(query=HostsQuery)
def list_hosts(asked: HostsQuery) -> Response:
    """List hosts by name."""
    after = None if asked.cursor is None else read_cursor(asked.cursor, HostReference)
    with reading(context().engine) as connection:
        found = hosts.page(
            connection,
            limit=asked.limit + 1,
            after=after,
            health=asked.health,
            tag=asked.tag,
            name_prefix=asked.name,
        )
        shown = found[: asked.limit]
        windows = maintenance.active_by_host(connection, [host.id for host in shown], context().now())
    following = write_cursor(shown[-1].name) if found != shown else None
    return listing([host_document(host, windows.get(host.id)) for host in shown], following)


@blueprint.get("/<reference>")
@operation()
def show_host(reference: str) -> Response:
    """Show one host with the details of its last snapshot."""
    with reading(context().engine) as connection:
        host = hosts.find(connection, reference)
        if host is None:
            raise no_such_host(reference)
        stored = hosts.details(connection, host.id)
        account, open_gap = accounts.of_host(connection, host.id)
        newest = accounts.page_of_gaps(connection, host.id, _GAPS_SHOWN)
        window = maintenance.active_by_host(connection, [host.id], context().now()).get(host.id)
    ledger = ledger_document(account, open_gap, newest)
    return answer(host_document(host, window) | _details_document(_decoded(stored)) | {"ledger": ledger})


@blueprint.get("/<reference>/gaps")
@operation(query=GapsQuery)
def list_gaps(asked: GapsQuery, reference: str) -> Response:
    """List the runs of snapshots that a host lacks, the newest first, the one that is awaited before all.

    ``declared``: the host dropped them. ``ended``: it began to number anew, and ``count`` is the least that is missing.
    """
    after = None if asked.cursor is None else accounts.GapPlace(*read_cursor(asked.cursor, _GapCursor))
    with reading(context().engine) as connection:
        host = host_in_path(connection, reference)
        found = accounts.page_of_gaps(connection, host.id, asked.limit + 1, after)
        _, open_gap = accounts.of_host(connection, host.id)
    shown = found[: asked.limit]
    following = write_cursor(shown[-1].place) if found != shown else None
    awaited = [open_gap] if open_gap and after is None else []
    return listing([gap_document(gap) for gap in awaited + shown], following)


@blueprint.get("/<reference>/metrics")
@operation(query=MetricsQuery)
def show_metrics(asked: MetricsQuery, reference: str) -> Response:
    """Show metrics of a host over time.

    ``start`` and ``end`` are RFC 3339; ``t`` holds the starts of the buckets in Unix seconds, as charts and
    Prometheus have them. A bucket without a value is left out. The step is a multiple of five minutes or of an hour
    where there are more snapshots than are read at once, or they are no longer kept.
    """
    names = _metric_names(asked.names)
    end = context().now() if asked.end is None else unix_seconds(asked.end, "to")
    start = max(end - _DEFAULT_RANGE_SECONDS, 0.0) if asked.start is None else unix_seconds(asked.start, "from")
    if start >= end:
        raise bad_field("to" if asked.start is None else "from", "leaves no time between from and to")
    keep = context().retention
    with reading(context().engine) as connection:
        host = host_in_path(connection, reference)
        span = metrics.buckets(
            start,
            end,
            asked.points,
            metrics.interval_seconds(connection, host.id),
            raw_from=context().now() - keep.raw_seconds,
            five_minutes_from=context().now() - keep.five_minutes_seconds,
        )
        series = metrics.series(connection, host.id, names, span)
    return answer(
        {
            "start": rfc3339(span.start),
            "end": rfc3339(span.end),
            "step_seconds": span.step_seconds,
            "series": series,
        }
    )


@blueprint.get("/<reference>/processes")
@operation()
def list_processes(reference: str) -> Response:
    """List the top processes of the last snapshot, by CPU and by memory, the busiest first."""
    with reading(context().engine) as connection:
        host = host_in_path(connection, reference)
        stored = hosts.details(connection, host.id)
    details = _decoded(stored)
    once = {(process.pid, process.start_time): process for process in details.processes_by_cpu}
    once |= {(process.pid, process.start_time): process for process in details.processes_by_memory}
    busiest_first = sorted(once.values(), key=lambda process: -process.cpu_percent)
    return answer(
        {
            "items": [_fields(process) | {"start_time": rfc3339(process.start_time)} for process in busiest_first],
            "next": None,
            "taken_at": rfc3339(stored.taken_at) if stored else None,
        }
    )


def host_document(host: hosts.Host, window: maintenance.Active | None) -> dict[str, Any]:
    """Return a host as JSON shows it, with the maintenance window that it is in."""
    return {
        "id": host.id,
        "name": host.name,
        "health": host.health,
        "last_seen": rfc3339(host.received_at),
        "tags": host.tags,
        "monitoring": not host.paused,
        "interval_seconds": host.interval_seconds,
        "open_events": host.open_events,
        "maintenance": window and {"id": window.id, "reason": window.reason, "ends_at": rfc3339(window.ends_at)},
        "metrics": host.metrics,
    }


def _details_document(details: Details) -> dict[str, Any]:
    return {
        "platform": details.platform,
        "os_name": details.os_name,
        "hostname": details.hostname,
        "collector_version": details.collector_version,
        "cpu_count": details.cpu_count,
        "filesystems": [_fields(one) for one in details.filesystems],
        "disks": [_fields(one) for one in details.disks],
        "interfaces": [_fields(one) for one in details.interfaces],
        "sensors": [_fields(one) for one in details.sensors],
        "services": [_fields(one) for one in details.services],
        "disk_health": [_fields(one) for one in details.disk_health],
    }


def _decoded(stored: hosts.StoredDetails | None) -> Details:
    """Return stored details, empty ones where there are none or a host sent what cannot be read."""
    try:
        return decode_details(stored.details) if stored else Details()
    except Unreadable:
        return Details()


def _fields(part: Struct) -> dict[str, Any]:
    # The parts of a snapshot are arrays on the wire and objects here.
    return msgspec.structs.asdict(part)


def _metric_names(given: str | None) -> tuple[str, ...]:
    if given is None:
        return _DEFAULT_NAMES
    names = tuple(dict.fromkeys(given.split(",")))
    for name in names:
        if name not in INDEX:
            raise bad_field("names", f"has {name!r}: the metrics of a host are {', '.join(INDEX)}")
    return names
