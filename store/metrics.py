"""Reads of metric history in buckets of equal length, from what answers them with the fewest rows.

Roll-ups hold what was rolled up so far, and what came after is read from the next finer source: hours, then 5 minutes,
then raw snapshots. Minimum and maximum of a bucket are those of all snapshots in it whatever it was read from, so no
peak is lost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, select

from store.aggregates import FIVE_MINUTES, HOUR, Aggregates, coarser, of_snapshots
from store.rollups import SECONDS, Table, read_hosts
from store.schema import host_state
from store.snapshots import of_host
from wire.metrics import INDEX

DEFAULT_INTERVAL_SECONDS = 30.0
"""The pace of a collector that nobody asked for another."""
# So many rows are read sooner than the step is made longer for a coarser source.
_MOST_ROWS = 1000
# This share of the points asked for is enough where a coarser source gives it, from a tenth of the rows or fewer.
_ENOUGH_POINTS = 0.75


@dataclass(frozen=True)
class Series:
    """One metric over time: the starts of its buckets in Unix seconds, and what was in each. All the same length."""

    t: list[int] = field(default_factory=list)
    avg: list[float] = field(default_factory=list)
    min: list[float] = field(default_factory=list)
    max: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Buckets:
    """A span of time cut into ``count`` buckets; ``start`` is a multiple of ``step_seconds``."""

    start: int
    step_seconds: int
    count: int
    source: Table | None = None
    """The roll-ups to read it from, whose buckets divide its own; None for the snapshots."""

    @property
    def end(self) -> int:
        """The end of the last bucket, itself no longer part of it."""
        return self.start + self.count * self.step_seconds


def interval_seconds(connection: Connection, host_id: int) -> float:
    """Return the pace of a host's last snapshot; the default of a collector before the first."""
    interval = connection.scalar(select(host_state.c.interval_seconds).where(host_state.c.host_id == host_id))
    return DEFAULT_INTERVAL_SECONDS if interval is None else interval


def buckets(
    start: float,
    end: float,
    points: int,
    interval_seconds: float,
    raw_from: float = -math.inf,
    five_minutes_from: float = -math.inf,
) -> Buckets:
    """Cut the time from ``start`` to before ``end`` into at most ``points`` (two or more) buckets.

    None is shorter than the host's interval. The step is whole seconds and the buckets lie on its multiples, so that
    a value stays in its bucket when a live chart moves on. ``raw_from`` and ``five_minutes_from`` are from when on
    those are kept, in Unix seconds.
    """
    step = math.ceil(max((end - start) / points, interval_seconds))
    source: Table | None = "rollups_1h"
    if start >= raw_from and (step < _ENOUGH_POINTS * FIVE_MINUTES or (end - start) / interval_seconds <= _MOST_ROWS):
        source = None
    elif start >= five_minutes_from and (step < _ENOUGH_POINTS * HOUR or (end - start) / FIVE_MINUTES <= _MOST_ROWS):
        source = "rollups_5m"
    span = _cover(start, end, step, source)
    if span.count > points:
        # Both ends cut into a bucket.
        return _cover(start, end, math.ceil((end - start) / (points - 1)), source)
    return span


def _cover(start: float, end: float, step: int, source: Table | None) -> Buckets:
    if source is not None:
        step = math.ceil(step / SECONDS[source]) * SECONDS[source]
    first = math.floor(start / step)
    return Buckets(first * step, step, math.ceil(end / step) - first, source)


def series(connection: Connection, host_id: int, names: Sequence[str], span: Buckets) -> dict[str, Series]:
    """Return average, minimum and maximum of each metric in each bucket; a bucket without a value is left out."""
    places = [INDEX[name] for name in names]
    start: float = span.start
    parts = []
    for table in ("rollups_1h", "rollups_5m"):
        if span.source == "rollups_1h" or span.source == table:
            held = read_hosts(connection, table, [host_id], start, span.end)
            if len(held):
                parts.append(_of_metrics(held, places))
                start = float(held.start_at.max()) + SECONDS[table]
    parts.append(_raw(connection, host_id, names, span, start))
    whole = coarser(parts, span.step_seconds)
    average = whole.average()
    starts = whole.start_at.astype(np.int64)
    found = {}
    for place, name in enumerate(names):
        columns = (starts, average[:, place], whole.least[:, place], whole.most[:, place])
        found[name] = Series(*(column[whole.count[:, place] > 0].tolist() for column in columns))
    return found


def _of_metrics(held: Aggregates, places: Sequence[int]) -> Aggregates:
    return Aggregates(
        held.host_id,
        held.start_at,
        held.snapshots,
        held.count[:, places],
        held.total[:, places],
        held.least[:, places],
        held.most[:, places],
    )


def _raw(connection: Connection, host_id: int, names: Sequence[str], span: Buckets, start: float) -> Aggregates:
    """Return what the snapshots from ``start`` to the end of the span come to in its buckets."""
    taken_at, values = of_host(connection, host_id, names, start, span.end)
    bucket = np.floor((taken_at - span.start) / span.step_seconds)
    return of_snapshots(np.full(len(bucket), host_id, np.int64), span.start + bucket * span.step_seconds, values)
