"""``/metrics``: the fleet's account, its events and the inboxes, in Prometheus' text format.

One series a host would be too many for a large fleet: a host's own numbers are at ``/api/v1/hosts/{id}``.
The format: prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Literal, NamedTuple

import redis
from flask import Blueprint, Response
from sqlalchemy import Connection

from api.context import context
from api.operations import operation
from store import accounts, events, hosts
from store.engine import reading
from wire import keys

blueprint = Blueprint("prometheus", __name__)

_MEDIA_TYPE = "text/plain"
_OF_THE_FLEET = {
    "sent": "Snapshots that hosts are known to have taken.",
    "received": "Snapshots that arrived in their turn.",
    "committed": "Snapshots that were stored.",
    "evaluated": "Snapshots that went through all rules.",
    "dead_lettered": "Snapshots that could not be read.",
    "dropped": "Snapshots that hosts dropped, as their spool was full or damaged.",
    "lost": "Snapshots that were seen ahead of their turn and never came again.",
    "outstanding": "Snapshots that were seen ahead of their turn and are to come again.",
    "resent": "Entries of snapshots that were there already.",
    "discarded": "Entries that came before their turn.",
    "throttled": "Entries that were passed over, as their host pushes more than it may.",
}
_ENTRIES = ("resent", "discarded", "throttled")


class Sample(NamedTuple):
    """One value of a family, with what tells it from the others."""

    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """A metric with its samples."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[Sample]


@blueprint.get("/metrics")
@operation(media_type=_MEDIA_TYPE)
def show_metrics() -> Response:
    """Show what Prometheus is to scrape: the sums over all hosts, events, inboxes."""
    with reading(context().engine) as connection:
        families = [*_of_the_fleet(connection), *_of_hosts_and_events(connection)]
    families += _of_inboxes(context().redis)
    return Response(exposed(families), content_type=f"{_MEDIA_TYPE}; version=0.0.4; charset=utf-8")


def exposed(families: Iterable[Family]) -> str:
    """Return the families as text."""
    lines = []
    for family in families:
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for sample in family.samples:
            labels = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in sample.labels.items())
            lines.append(f"{family.name}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}")
    return "\n".join(lines) + "\n"


def _of_the_fleet(connection: Connection) -> list[Family]:
    account = asdict(accounts.of_fleet(connection))
    families = []
    for name, help_text in _OF_THE_FLEET.items():
        full_name = f"fleetmedic_{'entries' if name in _ENTRIES else 'snapshots'}_{name}"
        sample = Sample({}, account[name])
        if name == "outstanding":
            families.append(Family(full_name, "gauge", help_text, [sample]))
        else:
            families.append(Family(f"{full_name}_total", "counter", help_text, [sample]))
    return families


def _of_hosts_and_events(connection: Connection) -> list[Family]:
    by_health = hosts.fleet(connection).hosts_by_health
    open_events = events.count_open(connection)
    return [
        Family(
            "fleetmedic_hosts",
            "gauge",
            "Hosts that are not revoked, by health.",
            [Sample({"health": health}, count) for health, count in by_health.items()],
        ),
        Family(
            "fleetmedic_events_open",
            "gauge",
            "Open events by type and severity.",
            [Sample({"type": one.type, "severity": one.severity}, one.count) for one in open_events],
        ),
    ]


def _of_inboxes(client: "redis.Redis") -> list[Family]:
    shards = range(keys.SHARDS)
    pipeline = client.pipeline(transaction=False)
    for shard in shards:
        pipeline.llen(keys.inbox(shard))
    pipeline.mget([keys.full(shard) for shard in shards])
    try:
        *lengths, full = pipeline.execute()
    except redis.RedisError:
        return [Family("fleetmedic_redis_up", "gauge", "Whether Redis answers.", [Sample({}, 0)])]
    return [
        Family("fleetmedic_redis_up", "gauge", "Whether Redis answers.", [Sample({}, 1)]),
        Family(
            "fleetmedic_inbox_entries",
            "gauge",
            "Entries that wait in the inbox of a shard.",
            [Sample({"shard": str(shard)}, length) for shard, length in zip(shards, lengths, strict=True)],
        ),
        Family(
            "fleetmedic_inbox_full",
            "gauge",
            "Whether the collectors of a shard are asked to keep their snapshots.",
            [Sample({"shard": str(shard)}, flag is not None) for shard, flag in zip(shards, full, strict=True)],
        ),
    ]


def _escaped(text: str, *, quote: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quote else escaped


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
