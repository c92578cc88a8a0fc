"""A steady climb in a series: what a leak looks like. Pure.

A window up to now is cut into parts, and their medians are compared: nearly every step between them, the last one too,
is at least half of an even one, and none is most of the climb. So a jump is no climb, nor is what has stopped. What
climbs by as much at this time of every day is the day's course, no leak.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HOUR = 3600.0
_DAY = 24 * _HOUR
LONGEST_HOURS = 12.0
"""That a climb is looked for."""
_WINDOWS_HOURS = (LONGEST_HOURS, 6.0, 3.0, 1.5)
_PARTS = 8
_FIRST, _SECOND = np.triu_indices(_PARTS, 1)
# Of a window that there must be readings of.
_COVERED = 0.8
_STEADY_SHARE = 0.5
_MOST_UNSTEADY = 1
_LARGEST_STEP = 0.5
# Of a climb, by which the readings may scatter within a part.
_LARGEST_SCATTER = 0.25
_SHARE_OF_USUAL = 0.5


class History(NamedTuple):
    """One metric of a host over time: Unix seconds in order, and its means over the buckets that start then."""

    at: Floats
    mean: Floats


NOTHING = History(np.empty(0), np.empty(0))


class Climb(NamedTuple):
    """A climb that still goes on."""

    seconds: float
    """For how long it has gone on, at least."""
    first: float
    last: float
    per_hour: float


def climb(history: History, now: float, least: float) -> Climb | None:
    """Return the longest steady climb up to now, None where there is none of at least so much."""
    for hours in _WINDOWS_HOURS:
        found = _climb_of(history, now, hours * _HOUR, least)
        if found is not None:
            return found
    return None


def is_daily(found: Climb, hours: History, now: float) -> bool:
    """Tell whether the days before had, at the same hours, as much of a climb; ``hours`` are means over hours."""
    climbs = []
    for day in range(1, 8):
        first, last = (_near(hours, now - day * _DAY - back) for back in (found.seconds, 0.0))
        if first is not None and last is not None:
            climbs.append(last - first)
    return bool(climbs) and float(np.median(climbs)) >= _SHARE_OF_USUAL * (found.last - found.first)


def _climb_of(history: History, now: float, seconds: float, least: float) -> Climb | None:
    is_inside = (history.at >= now - seconds) & np.isfinite(history.mean)
    at, mean = history.at[is_inside], history.mean[is_inside]
    if len(at) < 2 * _PARTS or at[-1] - at[0] < _COVERED * seconds or mean[-1] - mean[0] < least:
        return None
    place = np.minimum((at - at[0]) / (at[-1] - at[0]) * _PARTS, _PARTS - 1).astype(int)
    if len(np.unique(place)) < _PARTS:
        return None
    middle, moment = (np.array([np.median(of[place == part]) for part in range(_PARTS)]) for of in (mean, at))
    steps = np.diff(middle)
    whole = middle[-1] - middle[0]
    scatter = np.median(np.abs(mean - middle[place]))
    is_unsteady = steps < _STEADY_SHARE * whole / len(steps)
    is_steady = (
        whole > 0
        and not is_unsteady[-1]
        and np.count_nonzero(is_unsteady) <= _MOST_UNSTEADY
        and steps.max() <= _LARGEST_STEP * whole
        and scatter <= _LARGEST_SCATTER * whole
    )
    if not is_steady:
        return None
    slopes = (middle[_SECOND] - middle[_FIRST]) / (moment[_SECOND] - moment[_FIRST])
    return Climb(float(at[-1] - at[0]), float(mean[0]), float(mean[-1]), _HOUR * float(np.median(slopes)))


def _near(hours: History, moment: float) -> float | None:
    """Return the mean of the hour that a time is in, None where it is not known."""
    is_there = (hours.at <= moment) & (moment < hours.at + _HOUR) & np.isfinite(hours.mean)
    return float(hours.mean[is_there][0]) if is_there.any() else None
