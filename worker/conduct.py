"""The events of how a host behaves towards the server, rather than of how it is. Pure.

``host_cloned``: two machines push under one identity, seen by a sequence number that comes again with another body.
Both are asked for a new incarnation; from then on each supersedes the other, until somebody enrolls one of them under
a name of its own. ``host_flooding``: a host pushes more than its credit allows (``worker.throttle``).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from worker.detection.finding import Severity
from worker.evaluation import EventChange, event_change
from worker.events import FLAPPING_CLEAR_SECONDS, Track, is_over, open_track, reopened, resolved


class Conduct(NamedTuple):
    """A kind of behaviour that opens an event at once; without it for so many seconds, the event resolves."""

    type: str
    severity: Severity
    quiet_seconds: float
    reason: str


CLONED = Conduct("host_cloned", "high", 3600.0, "the same sequence number came with two different snapshots")
FLOODING = Conduct(
    "host_flooding",
    "medium",
    60.0,
    "it pushes more than any collector does: what is beyond its credit is passed over until the credit is back",
)
KINDS = (CLONED, FLOODING)

_KEPT_SECONDS = 600.0
"""After it resolved: seen again by then, it is the same event."""


class Judged(NamedTuple):
    """A host's tracks, and what changed of its events."""

    tracks: list[Track]
    changes: list[EventChange]


def judge(tracks: Sequence[Track], seen: Mapping[Conduct, Mapping[str, Any]], now: float) -> Judged:
    """Return what a drain makes of a host's events of conduct: ``seen`` is what it did, with the evidence of it."""
    judged = Judged(list(tracks), [])
    for kind in KINDS:
        known = next((track for track in tracks if track.type == kind.type), None)
        track, change = _shown(kind, known, seen[kind], now) if kind in seen else _unseen(kind, known, now)
        if track is not None and change is not None:
            judged.tracks[:] = [*(other for other in judged.tracks if other.type != kind.type), track]
            judged.changes.append(change)
    return judged


def _shown(kind: Conduct, known: Track | None, evidence: Mapping[str, Any], now: float) -> tuple[Track, EventChange]:
    evidence = {"reason": kind.reason, **evidence}
    new = open_track(kind.type, "", kind.severity, now, now)
    if known is None or is_over(known, now):
        return new, event_change(0, new, "opened", evidence)
    if known.state == "resolved":
        again = reopened(known, new)
        return again, event_change(0, again, "reopened", evidence)
    still = replace(known, last_at=now, read_at=now)
    return still, event_change(0, still, "updated")


def _unseen(kind: Conduct, known: Track | None, now: float) -> tuple[Track | None, EventChange | None]:
    if known is None or known.state != "open":
        return None, None
    if known.last_at + max(kind.quiet_seconds, FLAPPING_CLEAR_SECONDS if known.flapping else 0.0) >= now:
        return None, None
    past = replace(resolved(known, _KEPT_SECONDS), read_at=now)
    return past, replace(event_change(0, past, "resolved"), resolved_at=now)
