"""The events of how a host behaves towards the server, rather than of how it is. Pure.

``host_cloned``: two machines push under one identity, seen by a sequence number that comes again with another body.
Both are asked for a new incarnation; from then on each supersedes the other, until somebody enrolls one of them under
a name of its own. ``host_flooding``: a host pushes more than its credit allows (``worker.throttle``).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from worker.detection.finding import Severity
from worker.evaluation import EventChange
from worker.events import Track, open_track


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


class Judged(NamedTuple):
    """A host's tracks, and what changed of its events."""

    tracks: list[Track]
    changes: list[EventChange]


def judge(tracks: Sequence[Track], seen: Mapping[Conduct, Mapping[str, Any]], now: float) -> Judged:
    """Return what a drain makes of a host's events of conduct: ``seen`` is what it did, with the evidence of it."""
    judged = Judged(list(tracks), [])
    for kind in KINDS:
        known = next((track for track in tracks if track.type == kind.type), None)
        if kind in seen:
            _replace(judged, kind, open_track(kind.type, "", kind.severity, known.opened_at if known else now, now))
            evidence = {"reason": kind.reason, **seen[kind]}
            judged.changes.append(_change(kind, known.opened_at if known else now, now, evidence, is_new=known is None))
        elif known and known.last_at + kind.quiet_seconds < now:
            _replace(judged, kind, None)
            judged.changes.append(_change(kind, known.opened_at, known.last_at, {}, resolved_at=now))
    return judged


def _replace(judged: Judged, kind: Conduct, track: Track | None) -> None:
    judged.tracks[:] = [other for other in judged.tracks if other.type != kind.type]
    if track is not None:
        judged.tracks.append(track)


def _change(
    kind: Conduct,
    opened_at: float,
    last_at: float,
    evidence: dict[str, Any],
    *,
    resolved_at: float | None = None,
    is_new: bool = False,
) -> EventChange:
    return EventChange(
        host=0,
        type=kind.type,
        subject="",
        severity=kind.severity,
        state="open" if resolved_at is None else "resolved",
        limit=None,
        first_value=None,
        value=None,
        peak_value=None,
        peak_at=None,
        started_at=opened_at,
        opened_at=opened_at,
        last_at=last_at,
        resolved_at=resolved_at,
        evidence=evidence,
        is_new=is_new,
    )
