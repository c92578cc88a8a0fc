"""What is usual for a metric at some time: its means at this hour of the days before, or what comes closest to that."""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from store.aggregates import FIVE_MINUTES, HOUR
from store.rollups import SECONDS, Table
from worker.explanation.case import Usual

_DAY = 86400.0
# Fewer tell no range.
_FEWEST = 3


class Past(NamedTuple):
    """A part of a host's past that may tell what is usual."""

    when: Literal["at this hour", "in the day before", "in the hour before"]
    table: Table
    step_seconds: float
    """Between two of its buckets."""
    buckets: int
    """How many count."""

    def bucket(self, moment: float) -> float:
        """Return the start of the bucket that a time is in, both in Unix seconds."""
        seconds = SECONDS[self.table]
        return math.floor(moment / seconds) * float(seconds)

    def starts(self, bucket: float) -> list[float]:
        """Return the starts of the buckets that are the past of a bucket, the last one first."""
        return [bucket - self.step_seconds * back for back in range(1, self.buckets + 1)]


PASTS = (
    Past("at this hour", "rollups_1h", _DAY, 7),
    Past("in the day before", "rollups_1h", HOUR, 24),
    Past("in the hour before", "rollups_5m", FIVE_MINUTES, 12),
)
"""The best first."""


def usual(past: Past, means: Iterable[float]) -> Usual | None:
    """Return the range of a metric's means in the buckets of a past, None where there are too few."""
    known = [mean for mean in means if math.isfinite(mean)]
    return Usual(min(known), max(known), past.when) if len(known) >= _FEWEST else None
