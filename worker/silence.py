"""The rule host_down: a host is silent for longer than its pace allows. Pure.

Unlike the other rules it is not of a snapshot but of their absence, so a sweep evaluates it. A snapshot resolves it.
"""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from store.silence import QuietHost
from worker.detection.limits import Limit
from worker.evaluation import HOST_DOWN, EventChange, event_change
from worker.events import Track, is_over, open_track, reopened


def window_seconds(interval_seconds: float, limit: Limit) -> float:
    """Return how long a host of this pace may be silent."""
    return max(limit.value * interval_seconds, limit.opens_after_seconds)


def windows_seconds(interval_seconds: NDArray[np.float64], limit: Limit) -> NDArray[np.float64]:
    """Return how long hosts of these paces may be silent."""
    return np.maximum(limit.value * interval_seconds, limit.opens_after_seconds)


def down_since(host: QuietHost, limit: Limit, watching_since: float, heard_until: float) -> float | None:
    """Return since when a host is silent, None while that is not for too long or does not matter.

    Silence counts from the last snapshot, the last start or enrollment, and from when the server itself began to
    watch without a break (``watching_since``): after an outage of its own every host has a whole window.
    ``heard_until`` is the time up to which everything that was sent is known.
    """
    since = max(host.received_at or 0.0, host.watched_since, watching_since)
    is_down = limit.enabled and since + window_seconds(host.interval_seconds, limit) < heard_until
    return since if is_down else None


def down(host: QuietHost, limit: Limit, tracks: Sequence[Track], now: float) -> tuple[Track, EventChange]:
    """Return the event that opens for a host with these tracks, or opens again.

    Its value is how long the host was silent, in seconds.
    """
    value, window = now - _last_heard(host), window_seconds(host.interval_seconds, limit)
    new = open_track(HOST_DOWN, "", limit.severity or "critical", now, now, value=value, limit=window)
    new = replace(new, started_at=_last_heard(host))
    evidence = {
        "last_seen": host.received_at,
        "interval_seconds": host.interval_seconds,
        "never_seen": host.received_at is None,
    }
    past = known(tracks)
    if past is None or is_over(past, now):
        return new, event_change(0, new, "opened", evidence)
    again = reopened(past, new)
    return again, event_change(0, again, "reopened", evidence)


def known(tracks: Sequence[Track]) -> Track | None:
    """Return of a host's tracks that of its silence, None where there is none."""
    return next((track for track in tracks if track.type == HOST_DOWN), None)


def _last_heard(host: QuietHost) -> float:
    return host.watched_since if host.received_at is None else host.received_at
