"""A steady climb in a series: what a leak looks like. Pure.

A window up to now is cut into parts, and their medians are compared: nearly every step between them, the last one too,
is at least half of an even one, and none is most of the climb. So a jump is no climb, nor is what has stopped. And what
stays within all that was seen in the week before is that host's ordinary course, no leak: on four servers of the Server
Machine Dataset (Su et al. 2019), 104 days of memory in use as a share of its own range, that leaves 2 of 34 climbs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HOUR = 3600.0
LONGEST_HOURS = 12.0
"""That a climb is looked for."""
_WINDOWS_HOURS = (LONGEST_HOURS, 6.0, 3.0)
_PARTS = 8
_FIRST, _SECOND = np.triu_indices(_PARTS, 1)
# Of a window that there must be readings of.
_COVERED = 0.8
_STEADY_SHARE = 0.5
_MOST_UNSTEADY = 1
_LARGEST_STEP = 0.5
# Of a climb, by which the readings may scatter within a part.
_LARGEST_SCATTER = 0.25
_LEAST_HOURS = 24
"""Of what was before, to tell what is ordinary."""


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


def is_new(found: Climb, hours: History, now: float) -> bool:
    """Tell whether a climb is above all of the week before it; ``hours`` are means over hours.

    Of a host of which less than a day is known, it is.
    """
    before = hours.mean[(hours.at < now - found.seconds) & np.isfinite(hours.mean)]
    return len(before) < _LEAST_HOURS or found.last > float(before.max())


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
