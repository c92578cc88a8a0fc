"""What a diagnosis reads of one host: its recent means, its day and week, its peers, its details, its open events."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from store import events, explanations, filesystems, metrics, rollups
from store.aggregates import FIVE_MINUTES, HOUR
from store.events import Event
from store.explanations import Views
from store.filesystems import History
from store.metrics import Series
from store.schema import host_state, hosts, tags
from wire.metrics import INDEX

MOST_PEERS = 50
"""That are read of a host."""

_HALF_DAY = 43_200
_WEEK = 604_800
_MOST_EVENTS = 200
_RANGE_STEP_SECONDS = 30


class PeerAverages(NamedTuple):
    """Hosts with the same tag, and their means over the last hour (hosts, metrics), NaN for missing."""

    tag: str
    averages: NDArray[np.float64]


@dataclass(frozen=True)
class CaseHistory:
    """What is stored of a host up to a moment. Times are Unix seconds."""

    until: float
    """The moment: now, or the last snapshot of a host that has been silent for longer than the range."""
    last_taken_at: float | None
    """None before the first snapshot."""
    recent_seconds: float
    """How long the last of the range is: two snapshots at least."""
    averages: Mapping[str, tuple[float, float]]
    """By metric that the host has, its mean over the range and over the last of it."""
    fives: Mapping[str, Series]
    """Means over 5 minutes of the last half day."""
    hours: Mapping[str, Series]
    """Means over hours of the last week."""
    peers: PeerAverages | None
    """None where no tag of the host has enough of them."""
    views: Views | None
    filesystems: History | None
    events: Sequence[Event]
    """Its open ones, the last opened first."""


def read(
    connection: Connection,
    host_id: int,
    names: Sequence[str],
    now: float,
    *,
    range_seconds: int,
    recent_seconds: float,
    fewest_peers: int,
) -> CaseHistory:
    """Read what is stored of a host, and its metrics of these names."""
    state = connection.execute(
        select(host_state.c.taken_at, host_state.c.interval_seconds).where(host_state.c.host_id == host_id)
    ).one_or_none()
    taken_at, interval = (None, metrics.DEFAULT_INTERVAL_SECONDS) if state is None else state
    until = taken_at if taken_at is not None and taken_at < now - range_seconds else now
    recent = max(recent_seconds, math.ceil(2 * interval))
    return CaseHistory(
        until=until,
        last_taken_at=taken_at,
        recent_seconds=recent,
        averages=_averages(connection, host_id, names, until, range_seconds, math.ceil(recent)),
        fives=metrics.series(connection, host_id, names, _span(until, _HALF_DAY, FIVE_MINUTES, "rollups_5m")),
        hours=metrics.series(connection, host_id, names, _span(until, _WEEK, HOUR, "rollups_1h")),
        peers=_peers(connection, host_id, names, until, fewest_peers),
        views=explanations.views(connection, [host_id]).get(host_id),
        filesystems=filesystems.history(connection, host_id),
        events=events.page(connection, events.EventFilter(host_id=host_id, state="open"), limit=_MOST_EVENTS),
    )


def _span(until: float, seconds: int, step: int, source: rollups.Table) -> metrics.Buckets:
    first = math.floor((until - seconds) / step)
    return metrics.Buckets(first * step, step, math.floor(until / step) - first + 1, source)


def _averages(
    connection: Connection, host_id: int, names: Sequence[str], until: float, seconds: int, recent_seconds: int
) -> dict[str, tuple[float, float]]:
    steps = seconds // _RANGE_STEP_SECONDS + 1
    start = math.floor(until) - seconds
    whole = metrics.series(connection, host_id, names, metrics.Buckets(start, _RANGE_STEP_SECONDS, steps))
    last = metrics.Buckets(math.floor(until) - recent_seconds, recent_seconds + 1, 1)
    recent = metrics.series(connection, host_id, names, last)
    return {
        name: (_mean(one.avg), _mean(recent[name].avg) if recent[name].avg else one.avg[-1])
        for name, one in whole.items()
        if one.avg
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _peers(
    connection: Connection, host_id: int, names: Sequence[str], until: float, fewest: int
) -> PeerAverages | None:
    """Return the peers of the host's narrowest tag that enough others bear; of very many those with the next ids."""
    mine = select(tags.c.tag).where(tags.c.host_id == host_id)
    counted = select(tags.c.tag, func.count().label("bearers")).where(tags.c.tag.in_(mine)).group_by(tags.c.tag)
    narrowest_first = sorted(connection.execute(counted), key=lambda row: (row.bearers, row.tag))
    for tag, bearers in narrowest_first:
        if bearers <= fewest:
            continue
        ids = _bearers(connection, tag, host_id)
        held = rollups.read_hosts(connection, "rollups_5m", ids, until - HOUR, until)
        places = [INDEX[name] for name in names]
        _, row = np.unique(held.host_id, return_inverse=True)
        peers = int(row.max()) + 1 if len(row) else 0
        if peers < fewest:
            continue
        total, count = np.zeros((peers, len(names))), np.zeros((peers, len(names)))
        np.add.at(total, row, held.total[:, places])
        np.add.at(count, row, held.count[:, places])
        return PeerAverages(tag, np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
    return None


def _bearers(connection: Connection, tag: str, host_id: int) -> list[int]:
    """Return the ids of some other hosts with a tag: those behind this one first, then from the beginning."""
    query = (
        select(tags.c.host_id)
        .join(hosts, hosts.c.id == tags.c.host_id)
        .where(tags.c.tag == tag, hosts.c.revoked_at.is_(None))
        .order_by(tags.c.host_id)
    )
    ids = list(connection.scalars(query.where(tags.c.host_id > host_id).limit(MOST_PEERS)))
    left = MOST_PEERS - len(ids)
    return ids + list(connection.scalars(query.where(tags.c.host_id < host_id).limit(left))) if left else ids
