"""What a diagnosis reads of all hosts at once: their means over the last quarter of an hour, and their open events."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, case, func, literal_column, select

from store import rollups
from store.aggregates import FIVE_MINUTES
from store.hosts import HostName
from store.schema import events, host_state, hosts
from store.snapshots import latest
from wire.metrics import INDEX

_BUCKETS = 3
"""Of the last closed ones: the very last may not be rolled up yet."""
_IDS_AT_ONCE = 500
_RANKS = ("low", "medium", "high", "critical")

# As a literal: only then do both databases see that the partial index of open events answers it.
_counts = and_(events.c.state == literal_column("'open'"), ~events.c.muted)
_rank = case({name: rank for rank, name in enumerate(_RANKS)}, value=events.c.severity)


@dataclass(frozen=True)
class FleetHistory:
    """What is stored of n hosts that were heard of lately, by id."""

    monitored: int
    """How many hosts are monitored in all."""
    host_ids: NDArray[np.int64]
    whole: NDArray[np.float64]
    """(n, metrics) their means over the last closed buckets; NaN for missing."""
    recent: NDArray[np.float64]
    """(n, metrics) those of the newest of these buckets, or of the last snapshot where there are none."""
    severity: Mapping[int, str]
    """Of the worst open event that is not muted, by the id of the hosts that have one, also of silent ones."""


def read(connection: Connection, names: Sequence[str], now: float, heard_since: float, most: int) -> FleetHistory:
    """Read the metrics of these names of all hosts; of more than ``most`` those with open events, and then the first.

    ``heard_since`` is in Unix seconds: a host that has been silent since before has no means.
    """
    monitored = select(func.count()).where(hosts.c.revoked_at.is_(None), hosts.c.paused.is_(False))
    severity = _severities(connection)
    ids = _ids(connection, heard_since, severity, most)
    whole, recent = (np.full((len(ids), len(names)), np.nan) for _ in range(2))
    is_missing = np.ones(len(ids), bool)
    last = math.floor(now / FIVE_MINUTES) * FIVE_MINUTES
    starts = [last - FIVE_MINUTES * back for back in range(_BUCKETS, 0, -1)]
    held = rollups.read_buckets(connection, "rollups_5m", ids.tolist(), starts)
    places = [INDEX[name] for name in names]
    row = np.searchsorted(ids, held.host_id)
    total, count = np.zeros(whole.shape), np.zeros(whole.shape)
    average = held.average()[:, places]
    for start in starts:
        is_here = held.start_at == start
        rows, means = row[is_here], average[is_here]
        total[rows] += np.nan_to_num(held.total[is_here][:, places])
        count[rows] += held.count[is_here][:, places]
        recent[rows] = np.where(np.isnan(means), recent[rows], means)
        is_missing[rows] = False
    np.divide(total, count, out=whole, where=count > 0)
    for first in range(0, int(is_missing.sum()), _IDS_AT_ONCE):
        some = np.flatnonzero(is_missing)[first : first + _IDS_AT_ONCE]
        newest = latest(connection, ids[some].tolist(), names)
        for place in some.tolist():
            whole[place] = recent[place] = newest.get(int(ids[place]), np.nan)
    return FleetHistory(connection.scalar(monitored) or 0, ids, whole, recent, severity)


def names_of(connection: Connection, host_ids: Sequence[int]) -> dict[int, HostName]:
    """Return id and name of these hosts, by id."""
    query = select(hosts.c.id, hosts.c.name).where(hosts.c.id.in_(host_ids))
    return {row.id: HostName(*row) for row in connection.execute(query)}


def _severities(connection: Connection) -> dict[int, str]:
    query = (
        select(events.c.host_id, func.max(_rank))
        .join(hosts, hosts.c.id == events.c.host_id)
        .where(_counts, hosts.c.revoked_at.is_(None))
        .group_by(events.c.host_id)
    )
    return {host_id: _RANKS[rank] for host_id, rank in connection.execute(query)}


def _ids(connection: Connection, heard_since: float, severity: Mapping[int, str], most: int) -> NDArray[np.int64]:
    """Return the ids of the hosts to be looked at, in order."""
    heard = (
        select(host_state.c.host_id)
        .join(hosts, hosts.c.id == host_state.c.host_id)
        .where(hosts.c.revoked_at.is_(None), host_state.c.taken_at >= heard_since)
        .order_by(host_state.c.host_id)
    )
    # One more tells that there are more.
    ids = list(connection.scalars(heard.limit(most + 1)))
    if len(ids) > most:
        troubled = sorted(severity)[:most]
        chosen = {*connection.scalars(heard.where(host_state.c.host_id.in_(troubled)))}
        ids = sorted([*chosen, *(one for one in ids if one not in chosen)][:most])
    return np.array(ids, np.int64)
