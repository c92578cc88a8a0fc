"""The rule host_down: a host is silent for longer than its pace allows. Pure.

Unlike the other rules it is not of a snapshot but of their absence, so a sweep evaluates it. A snapshot resolves it.
"""

from typing import Any

from store.silence import QuietHost
from worker.evaluation import HOST_DOWN

SHORTEST_SECONDS = 30.0
_INTERVALS = 3


def window_seconds(interval_seconds: float) -> float:
    """Return how long a host of this pace may be silent."""
    return max(_INTERVALS * interval_seconds, SHORTEST_SECONDS)


def down_since(host: QuietHost, watching_since: float, heard_until: float) -> float | None:
    """Return since when a host is silent, None while that is not for too long.

    Silence counts from the last snapshot, the last start or enrollment, and from when the server itself began to
    watch without a break (``watching_since``): after an outage of its own every host has a whole window.
    ``heard_until`` is the time up to which everything that was sent is known.
    """
    since = max(host.received_at or 0.0, host.watched_since, watching_since)
    return since if since + window_seconds(host.interval_seconds) < heard_until else None


def event_row(host: QuietHost, now: float) -> dict[str, Any]:
    """Return the event that opens, as columns of the events table."""
    silent_since = host.received_at or host.watched_since
    return {
        "host_id": host.host_id,
        "type": HOST_DOWN,
        "subject": "",
        "severity": "critical",
        "state": "open",
        "limit_value": window_seconds(host.interval_seconds),
        "first_value": now - silent_since,
        "value": now - silent_since,
        "peak_value": now - silent_since,
        "peak_at": now,
        "started_at": silent_since,
        "opened_at": now,
        "last_at": now,
        "resolved_at": None,
        "evidence": {
            "last_seen": host.received_at,
            "interval_seconds": host.interval_seconds,
            "never_seen": host.received_at is None,
        },
    }
