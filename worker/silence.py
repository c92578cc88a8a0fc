"""The rule host_down: a host is silent for longer than its pace allows. Pure.

Unlike the other rules it is not of a snapshot but of their absence, so a sweep evaluates it. A snapshot resolves it.
"""

from typing import Any

from store.silence import QuietHost
from worker.evaluation import HOST_DOWN
from worker.events import Track, open_track

SHORTEST_SECONDS = 30.0
INTERVALS = 3


def window_seconds(interval_seconds: float) -> float:
    """Return how long a host of this pace may be silent."""
    return max(INTERVALS * interval_seconds, SHORTEST_SECONDS)


def down_since(host: QuietHost, watching_since: float, heard_until: float) -> float | None:
    """Return since when a host is silent, None while that is not for too long.

    Silence counts from the last snapshot, the last start or enrollment, and from when the server itself began to
    watch without a break (``watching_since``): after an outage of its own every host has a whole window.
    ``heard_until`` is the time up to which everything that was sent is known.
    """
    since = max(host.received_at or 0.0, host.watched_since, watching_since)
    return since if since + window_seconds(host.interval_seconds) < heard_until else None


def track(host: QuietHost, now: float) -> Track:
    """Return the track of the event that opens; its value is how long the host was silent, in seconds."""
    value, limit = now - _last_heard(host), window_seconds(host.interval_seconds)
    return open_track(HOST_DOWN, "", "critical", now, now, value=value, limit=limit)


def event_row(host: QuietHost, now: float) -> dict[str, Any]:
    """Return the event that opens, as columns of the events table."""
    opened = track(host, now)
    return {
        "host_id": host.host_id,
        "type": opened.type,
        "subject": opened.subject,
        "severity": opened.severity,
        "state": opened.state,
        "limit_value": opened.limit,
        "first_value": opened.value,
        "value": opened.value,
        "peak_value": opened.value,
        "peak_at": now,
        "started_at": _last_heard(host),
        "opened_at": now,
        "last_at": now,
        "resolved_at": None,
        "evidence": {
            "last_seen": host.received_at,
            "interval_seconds": host.interval_seconds,
            "never_seen": host.received_at is None,
        },
    }


def _last_heard(host: QuietHost) -> float:
    return host.watched_since if host.received_at is None else host.received_at
