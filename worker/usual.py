"""What is usual for a metric at some time: its means at this hour of the days before, or what comes closest to that."""

import math
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from store.aggregates import FIVE_MINUTES, HOUR
from store.rollups import Table
from worker.explanation.case import Usual

_DAY = 86400.0
# Fewer tell no range.
_FEWEST = 3


class Past(NamedTuple):
    """A part of a host's past that may tell what is usual."""

    when: Literal["at this hour", "in the day before", "in the hour before"]
    table: Table
    starts: Callable[[float], list[float]]
    """Of its buckets, for a time; all in Unix seconds."""


PASTS = (
    Past("at this hour", "rollups_1h", lambda moment: _before(moment, HOUR, _DAY, 7)),
    Past("in the day before", "rollups_1h", lambda moment: _before(moment, HOUR, HOUR, 24)),
    Past("in the hour before", "rollups_5m", lambda moment: _before(moment, FIVE_MINUTES, FIVE_MINUTES, 12)),
)
"""The best first."""


def usual(past: Past, means: Iterable[float]) -> Usual | None:
    """Return the range of a metric's means in the buckets of a past, None where there are too few."""
    known = [mean for mean in means if math.isfinite(mean)]
    return Usual(min(known), max(known), past.when) if len(known) >= _FEWEST else None


def _before(moment: float, bucket_seconds: int, step_seconds: float, count: int) -> list[float]:
    start = math.floor(moment / bucket_seconds) * float(bucket_seconds)
    return [start - step_seconds * back for back in range(1, count + 1)]
