"""What a diagnosis reads of one host: its recent means, its day and week, its peers, its details, its open events."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from store import events, explanations, filesystems, rollups, snapshots
from store.aggregates import HOUR, Aggregates
from store.events import Event
from store.explanations import Views
from store.filesystems import History
from store.metrics import DEFAULT_INTERVAL_SECONDS
from store.schema import host_state, hosts, tags
from wire.metrics import INDEX

Floats = NDArray[np.float64]

MOST_PEERS = 50
"""That are read of a host."""

_HALF_DAY = 43_200
_WEEK = 604_800
_MOST_EVENTS = 200


class Means(NamedTuple):
    """Means over buckets in the order of time: the starts of these (n), and the means (n, metrics), NaN for missing."""

    at: Floats
    mean: Floats


class PeerAverages(NamedTuple):
    """Hosts with the same tag, and their means over the last hour (hosts, metrics), NaN for missing."""

    tag: str
    averages: Floats


@dataclass(frozen=True)
class CaseHistory:
    """What is stored of a host up to a moment. Times are Unix seconds."""

    until: float
    """The moment: now, or the last snapshot of a host that has been silent for longer than the range."""
    last_taken_at: float | None
    """None before the first snapshot."""
    range_seconds: float
    """How long the range is: less than was asked for where the host was not seen for so long."""
    recent_seconds: float
    """How long the last of the range is: two snapshots at least."""
    whole: Floats
    """The mean of each metric over the range, NaN for missing."""
    recent: Floats
    """That over the last of the range, or where nothing came then of the last snapshot before."""
    fives: Means
    """Over 5 minutes of the last half day, as far as they are rolled up."""
    hours: Means
    """Over hours of the last week, as far as they are rolled up."""
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
    taken_at, interval = (None, DEFAULT_INTERVAL_SECONDS) if state is None else state
    until = taken_at if taken_at is not None and taken_at < now - range_seconds else now
    recent = max(recent_seconds, math.ceil(2 * interval))
    places = [INDEX[name] for name in names]
    # The moment itself included, at which the last snapshot may have been taken.
    at, taken = snapshots.of_host(connection, host_id, names, until - range_seconds, math.nextafter(until, math.inf))
    values = taken.astype(np.float64)
    is_recent = at >= min(until - recent, at.max(initial=0.0))
    fives = rollups.read_hosts(connection, "rollups_5m", [host_id], until - _HALF_DAY, until)
    hours = rollups.read_hosts(connection, "rollups_1h", [host_id], until - _WEEK, until)
    return CaseHistory(
        until=until,
        last_taken_at=taken_at,
        range_seconds=min(float(range_seconds), until - float(at.min(initial=until)) + interval),
        recent_seconds=recent,
        whole=_mean(values),
        recent=_mean(values[is_recent]),
        fives=_means(fives, places),
        hours=_means(hours, places),
        peers=_peers(connection, host_id, places, until, fewest_peers),
        views=explanations.views(connection, [host_id]).get(host_id),
        filesystems=filesystems.history(connection, host_id),
        events=events.page(connection, events.EventFilter(host_id=host_id, state="open"), limit=_MOST_EVENTS),
    )


def _mean(values: Floats) -> Floats:
    """Return the mean of each column, NaN left out; NaN where there is nothing else."""
    count = np.count_nonzero(~np.isnan(values), axis=0)
    mean = np.full(values.shape[1], np.nan)
    np.divide(np.nansum(values, axis=0), count, out=mean, where=count > 0)
    return mean


def _means(held: Aggregates, places: Sequence[int]) -> Means:
    order = np.argsort(held.start_at)
    return Means(held.start_at[order], held.average()[order][:, places].astype(np.float64))


def _peers(
    connection: Connection, host_id: int, places: Sequence[int], until: float, fewest: int
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
        order = np.argsort(held.host_id, kind="stable")
        _, firsts = np.unique(held.host_id[order], return_index=True)
        if len(firsts) >= fewest:
            total = np.add.reduceat(held.total[order][:, places], firsts)
            count = np.add.reduceat(held.count[order][:, places], firsts)
            average = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
            return PeerAverages(tag, average)
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
