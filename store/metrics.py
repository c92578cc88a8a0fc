"""Reads of metric history: snapshots in buckets of equal length, aggregated by the database."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from store.schema import host_state, snapshots

_DEFAULT_INTERVAL_SECONDS = 30.0


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

    @property
    def end(self) -> int:
        """The end of the last bucket, itself no longer part of it."""
        return self.start + self.count * self.step_seconds


def interval_seconds(connection: Connection, host_id: int) -> float:
    """Return the pace of a host's last snapshot; the default of a collector before the first."""
    interval = connection.scalar(select(host_state.c.interval_seconds).where(host_state.c.host_id == host_id))
    return _DEFAULT_INTERVAL_SECONDS if interval is None else interval


def buckets(start: float, end: float, points: int, interval_seconds: float) -> Buckets:
    """Cut the time from ``start`` to before ``end`` into at most ``points`` (two or more) buckets.

    None is shorter than the host's interval. The step is whole seconds and the buckets lie on its multiples, so that
    a value stays in its bucket when a live chart moves on.
    """
    span = _cover(start, end, math.ceil(max((end - start) / points, interval_seconds)))
    if span.count > points:
        # Both ends cut into a bucket.
        return _cover(start, end, math.ceil((end - start) / (points - 1)))
    return span


def _cover(start: float, end: float, step: int) -> Buckets:
    first = math.floor(start / step)
    return Buckets(first * step, step, math.ceil(end / step) - first)


def series(connection: Connection, host_id: int, names: Sequence[str], span: Buckets) -> dict[str, Series]:
    """Return average, minimum and maximum of each metric in each bucket; a bucket without a value is left out."""
    bucket = func.floor((snapshots.c.taken_at - span.start) / span.step_seconds)
    columns = [snapshots.c[name] for name in names]
    query = (
        select(bucket, *(aggregate(column) for column in columns for aggregate in (func.avg, func.min, func.max)))
        .where(snapshots.c.host_id == host_id, snapshots.c.taken_at >= span.start, snapshots.c.taken_at < span.end)
        .group_by(bucket)
        .order_by(bucket)
    )
    found = {name: Series() for name in names}
    for place, *values in connection.execute(query):
        t = span.start + int(place) * span.step_seconds
        for name, average, least, most in zip(names, values[::3], values[1::3], values[2::3], strict=True):
            if average is not None:
                one = found[name]
                one.t.append(t)
                one.avg.append(average)
                one.min.append(least)
                one.max.append(most)
    return found
