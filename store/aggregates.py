"""What many snapshots come to: count, sum, minimum and maximum of each metric, by host and bucket. Pure.

Such aggregates of parts add up to those of the whole, whatever the parts and their order: that is what makes roll-ups
right that are computed bit by bit, and whose snapshots come late.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.packed import matrix

FIVE_MINUTES, HOUR = 300, 3600

_LONGEST_PIECE = 64


class Stored(NamedTuple):
    """A row of a table of roll-ups."""

    host_id: int
    start_at: float
    snapshots: int
    counts: bytes | None
    """int32 a metric; None where each metric is in every snapshot or in none."""
    aggregates: bytes
    """float32 a metric, NaN for missing: averages, then minima, then maxima."""


@dataclass(frozen=True)
class Aggregates:
    """n pairs of host and bucket, each once and in order, with m metrics."""

    host_id: NDArray[np.int64]
    start_at: NDArray[np.float64]
    """Of the buckets, in Unix seconds."""
    snapshots: NDArray[np.int64]
    count: NDArray[np.int32]
    """(n, m) how many of the snapshots have the metric."""
    total: NDArray[np.float64]
    """(n, m) the sum of their values."""
    least: NDArray[np.float32]
    """(n, m) NaN where the count is 0."""
    most: NDArray[np.float32]
    """(n, m) NaN where the count is 0."""

    def __len__(self) -> int:
        return len(self.host_id)

    def where(self, wanted: NDArray[np.bool_]) -> "Aggregates":
        """Return those pairs only."""
        if wanted.all():
            return self
        return Aggregates(
            self.host_id[wanted],
            self.start_at[wanted],
            self.snapshots[wanted],
            self.count[wanted],
            self.total[wanted],
            self.least[wanted],
            self.most[wanted],
        )

    def average(self) -> NDArray[np.float32]:
        """Return (n, m) averages, NaN where the count is 0."""
        average = np.full(self.total.shape, np.nan)
        np.divide(self.total, self.count, out=average, where=self.count > 0)
        return average.astype(np.float32)


def bucket_starts(times: NDArray[np.float64], seconds: int) -> NDArray[np.float64]:
    """Return the start of the bucket that each time is in; buckets lie on multiples of their length."""
    return np.floor(times / seconds) * seconds


def of_snapshots(host_id: NDArray[np.int64], start_at: NDArray[np.float64], core: NDArray[np.float32]) -> Aggregates:
    """Aggregate snapshots (n × m, NaN for missing) by host and by the start of their bucket."""

    def at(places: NDArray[np.intp]) -> _Values:
        values = core[places]
        present = ~np.isnan(values)
        total = np.where(present, values, np.float32(0)).astype(np.float64)
        return _Values(np.ones(len(places), np.int64), present.astype(np.int32), total, values, values)

    return _reduced(host_id, start_at, at)


def merged(parts: Sequence[Aggregates]) -> Aggregates:
    """Return the aggregates of all parts together."""
    return parts[0] if len(parts) == 1 else _again(parts, np.concatenate([part.start_at for part in parts]))


def coarser(parts: Sequence[Aggregates], seconds: int) -> Aggregates:
    """Return the aggregates of all parts together in buckets of this length, a multiple of theirs."""
    return _again(parts, bucket_starts(np.concatenate([part.start_at for part in parts]), seconds))


@dataclass(frozen=True)
class _Values:
    """What is added up, in some rows."""

    snapshots: NDArray[np.int64]
    count: NDArray[np.int32]
    total: NDArray[np.float64]
    least: NDArray[np.float32]
    most: NDArray[np.float32]

    def at(self, places: NDArray[np.intp]) -> "_Values":
        return _Values(
            self.snapshots[places], self.count[places], self.total[places], self.least[places], self.most[places]
        )


def _again(parts: Sequence[Aggregates], start_at: NDArray[np.float64]) -> Aggregates:
    values = _Values(
        np.concatenate([part.snapshots for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.total for part in parts]),
        np.concatenate([part.least for part in parts]),
        np.concatenate([part.most for part in parts]),
    )
    return _reduced(np.concatenate([part.host_id for part in parts]), start_at, values.at)


def _reduced(
    host_id: NDArray[np.int64], start_at: NDArray[np.float64], at: Callable[[NDArray[np.intp]], _Values]
) -> Aggregates:
    """Add up the rows of each host and bucket; ``at`` gives the values of rows by their places.

    All groups at once, first their first rows, then their second ones, and so on: that is five times as fast as
    ``reduceat``, which goes through the columns of each group. Long groups are cut, and their pieces added up again.
    """
    order = np.lexsort((start_at, host_id))
    host_id, start_at = host_id[order], start_at[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (host_id[1:] != host_id[:-1]) | (start_at[1:] != start_at[:-1])
    groups = np.flatnonzero(is_first)
    rank = np.arange(len(order)) - groups[np.cumsum(is_first) - 1]
    firsts = np.flatnonzero(rank % _LONGEST_PIECE == 0)
    lengths = np.diff(firsts, append=len(order))
    # The longest first, so that those that have one more row are always the front.
    by_length = np.argsort(-lengths, kind="stable")
    firsts, lengths = firsts[by_length], lengths[by_length]
    sums = at(order[firsts])
    least, most = sums.least.copy(), sums.most.copy()
    for row in range(1, lengths[0] if len(lengths) else 0):
        front = slice(0, int(np.searchsorted(-lengths, -row)))
        more = at(order[firsts[front] + row])
        sums.snapshots[front] += more.snapshots
        sums.count[front] += more.count
        sums.total[front] += more.total
        np.fmin(least[front], more.least, out=least[front])
        np.fmax(most[front], more.most, out=most[front])
    back = np.argsort(by_length)
    whole = _Values(sums.snapshots, sums.count, sums.total, least, most).at(back)
    firsts = firsts[back]
    if len(firsts) > len(groups):
        return _reduced(host_id[firsts], start_at[firsts], whole.at)
    return Aggregates(
        host_id[firsts], start_at[firsts], whole.snapshots, whole.count, whole.total, whole.least, whole.most
    )


def pack(aggregates: Aggregates) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return (n, 3, m) averages, minima and maxima as they are stored, and of which pairs the counts are needed."""
    values = np.stack((aggregates.average(), aggregates.least, aggregates.most), axis=1).astype("<f4")
    partial = (aggregates.count > 0) & (aggregates.count < aggregates.snapshots[:, None])
    return values, np.any(partial, axis=1)


def unpack(rows: Sequence[Stored], metrics: int) -> Aggregates:
    """Read rows of a table of roll-ups as aggregates of so many metrics.

    Rows of an older catalogue have fewer, which are then missing, those of a newer one more.
    """
    values = matrix([row.aggregates for row in rows], "<f4", 3, metrics, np.nan)
    average, least, most = values[:, 0], values[:, 1], values[:, 2]
    snapshots = np.array([row.snapshots for row in rows], np.int64)
    present = ~np.isnan(average)
    count = np.where(present, snapshots[:, None], 0).astype(np.int32)
    counted = [place for place, row in enumerate(rows) if row.counts is not None]
    if counted:
        count[counted] = matrix([rows[place].counts or b"" for place in counted], "<i4", 1, metrics, 0)[:, 0]
    return Aggregates(
        np.array([row.host_id for row in rows], np.int64),
        np.array([row.start_at for row in rows], np.float64),
        snapshots,
        count,
        np.where(present, average, 0).astype(np.float64) * count,
        least,
        most,
    )
