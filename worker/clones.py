"""The event of a cloned host: two machines push under one identity. Pure.

It is seen by a sequence number that comes again with another body. Both are asked for a new incarnation; from then on
each supersedes the other, until somebody enrolls one of them under a name of its own.
"""

from collections.abc import Sequence

from worker.evaluation import EventChange
from worker.events import Track, open_track

TYPE = "host_cloned"
# After this long without another clash the clone is gone.
_QUIET_SECONDS = 3600.0


def judge(tracks: Sequence[Track], cloned: bool, now: float) -> tuple[list[Track], EventChange] | None:
    """Return a host's new tracks and what changes of its event, or None where nothing does."""
    known = next((track for track in tracks if track.type == TYPE), None)
    others = [track for track in tracks if track.type != TYPE]
    if cloned:
        seen = open_track(TYPE, "", "high", known.opened_at if known else now, now)
        return [*others, seen], _change(seen.opened_at, now, None, is_new=known is None)
    if known and known.last_at + _QUIET_SECONDS < now:
        return others, _change(known.opened_at, known.last_at, now, is_new=False)
    return None


def _change(opened_at: float, last_at: float, resolved_at: float | None, *, is_new: bool) -> EventChange:
    return EventChange(
        host=0,
        type=TYPE,
        subject="",
        severity="high",
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
        evidence={"reason": "the same sequence number came with two different snapshots"},
        is_new=is_new,
    )
