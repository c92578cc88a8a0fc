"""Clocks are data, never order: when a snapshot was taken, judged by when it was sent and when it came. Pure."""

import numpy as np
from numpy.typing import NDArray

# Clocks that agree this well are left alone; the workers' own may differ by as much.
_TOLERANCE_SECONDS = 2.0
# No spool reaches back further.
_OLDEST_SECONDS = 30 * 86400.0


def corrected(
    taken_at: NDArray[np.float64], sent_at: NDArray[np.float64], caught_up_at: NDArray[np.float64], now: float
) -> NDArray[np.float64]:
    """Return when n snapshots were taken, by the server's clock. All are Unix seconds, one value a snapshot.

    An entry was pushed after its inbox was last seen empty (``caught_up_at``) and before ``now``. A host whose clock
    says otherwise is wrong by the difference, and so is its ``taken_at``; within that span it is believed, since the
    entry may have waited. What is implausible even then becomes ``now``.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        believed = (sent_at >= caught_up_at - _TOLERANCE_SECONDS) & (sent_at <= now + _TOLERANCE_SECONDS)
        by_server = np.where(believed, taken_at, taken_at + (now - sent_at))
        # Infinity and NaN are no more plausible than another century.
        plausible = (by_server >= now - _OLDEST_SECONDS) & (by_server <= now + _TOLERANCE_SECONDS)
    return np.where(plausible, by_server, now)
