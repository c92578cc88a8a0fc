"""How far hosts are from their peers: those with the same tag, in the same bucket. Pure NumPy.

For hosts that have no history of their own yet. What is usual among the peers is their median, and how far they are
apart the median absolute deviation (Hampel 1974, "The influence curve and its role in robust estimation"): half of them
may be odd before these move.
"""

import numpy as np
from numpy.typing import NDArray

from worker.detection.deviation.expectation import Values

FEWEST_PEERS = 5
"""With fewer hosts of a tag nobody is odd."""

_TO_STANDARD_DEVIATION = 1.4826
# Peers that agree to the last digit would find everybody else far.
_LEAST_SPREAD_OF_MEDIAN = 0.05
_TINY = 1e-9


def distance_from_peers(average: Values, groups: list[NDArray[np.intp]]) -> tuple[Values, Values]:
    """Return how far each value (H, M) is from its peers' median, as log10(1 + how many spreads), and that median.

    ``groups`` are the places of the hosts of each tag. Of a host in several it is the tag that it is nearest to that
    counts. A host without enough peers has distance 0 and median NaN.
    """
    distance = np.full(average.shape, np.inf, np.float32)
    median = np.full(average.shape, np.nan, np.float32)
    for group in groups:
        values = average[group]
        enough = np.count_nonzero(~np.isnan(values), axis=0) >= FEWEST_PEERS
        if not enough.any():
            continue
        middle = np.full(average.shape[1], np.nan, np.float32)
        spread = middle.copy()
        middle[enough] = np.nanmedian(values[:, enough], axis=0)
        spread[enough] = np.nanmedian(np.abs(values[:, enough] - middle[enough]), axis=0)
        least = _LEAST_SPREAD_OF_MEDIAN * np.abs(middle) + _TINY
        far = np.log10(1.0 + np.abs(values - middle) / (_TO_STANDARD_DEVIATION * spread + least))
        nearer = far < distance[group]
        distance[group] = np.where(nearer, far, distance[group])
        median[group] = np.where(nearer, middle, median[group])
    return np.where(np.isfinite(distance), distance, np.float32(0.0)), median
