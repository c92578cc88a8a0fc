"""Clocks are data, never order: when a snapshot was taken, judged by when it was sent and when it came. Pure."""

import math

# Clocks that agree this well are left alone; the workers' own may differ by as much.
_TOLERANCE_SECONDS = 2.0
# No spool reaches back further.
_OLDEST_SECONDS = 30 * 86400.0


def corrected(taken_at: float, sent_at: float, caught_up_at: float, now: float) -> float:
    """Return when a snapshot was taken, by the server's clock, in Unix seconds.

    An entry was pushed after its inbox was last seen empty (``caught_up_at``) and before ``now``. A host whose clock
    says otherwise is wrong by the difference, and so is its ``taken_at``; within that span it is believed, since the
    entry may have waited. What is implausible even then becomes ``now``.
    """
    if not caught_up_at - _TOLERANCE_SECONDS <= sent_at <= now + _TOLERANCE_SECONDS:
        taken_at += now - sent_at
    if not (math.isfinite(taken_at) and now - _OLDEST_SECONDS <= taken_at <= now + _TOLERANCE_SECONDS):
        return now
    return taken_at
