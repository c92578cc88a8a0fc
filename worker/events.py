"""The life of an event: pending (seen, not yet for long enough), open, resolved. Pure: the time is an argument.

A resolved event is kept for a while: a breach that begins within it re-opens it. One that opens again and again is
flapping: it is then held open until it has been clear for long.

Time is added up from one reading to the next, so that a clock that steps back costs one snapshot's time and no more.
"""

from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from worker.detection.finding import SEVERITIES, Finding, Severity, Verdict
from worker.detection.limits import Limit

Change = Literal["opened", "reopened", "updated", "resolved"]

FLAPPING_OPENINGS = 3
"""So many openings within FLAPPING_WITHIN_SECONDS, the first one counted, make an event flapping."""
FLAPPING_WITHIN_SECONDS = 1800.0
FLAPPING_CLEAR_SECONDS = 900.0
"""For so long a flapping event must be clear without a break to resolve."""


class Track(Struct, array_like=True, frozen=True):
    """One pending, open or lately resolved event of a host. Times are Unix seconds; they never run back.

    Stored by position: new fields go to the end with a default.
    """

    type: str
    subject: str
    """Empty where the host itself is the subject."""
    state: Literal["pending", "open", "resolved"]
    severity: Severity
    limit: float | None
    first_value: float | None
    value: float | None
    peak_value: float | None
    peak_at: float
    started_at: float
    """When it was first seen."""
    opened_at: float
    """Of no meaning while pending."""
    last_at: float
    """When it was last seen."""
    read_at: float
    """The host's time of the last reading: where it is behind ``last_at`` the host's clock was set back."""
    clearing: bool = False
    """The last reading of this open event was clear."""
    elapsed_seconds: float = 0.0
    """Of the present run: in breach while pending, clear while clearing."""
    snapshots: int = 0
    """In the present run."""
    open_seconds: float = 0.0
    """Since it last opened."""
    openings: int = 1
    reopened_at: float | None = None
    """When it last opened, None where that was the first time."""
    flapping: bool = False
    lately_opened_at: tuple[float, ...] = ()
    """The last FLAPPING_OPENINGS times, once it has opened again."""
    kept_seconds: float = 0.0
    """Once resolved: for how long a breach re-opens it."""
    past: "Track | None" = None
    """While pending: the resolved event that it is to re-open."""


class Step(NamedTuple):
    """What one reading makes of an event: its next track, None when there is none any more, and what changed."""

    track: Track | None
    change: Change | None = None


# Two snapshots 30 s apart are 29.99 s apart: an event that takes 30 s must not wait for a third.
_JITTER_SECONDS = 0.5

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Track])


def encode_tracks(tracks: list[Track]) -> bytes | None:
    """Return a host's tracks as they are stored, None where there are none."""
    return _encoder.encode(tracks) if tracks else None


def decode_tracks(blob: bytes | None) -> list[Track]:
    """Read a host's tracks. Raises ValueError when they are damaged."""
    if blob is None:
        return []
    try:
        return _decoder.decode(blob)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"tracks of a host in host_state cannot be read: {error}") from None


def open_track(
    event_type: str,
    subject: str,
    severity: Severity,
    opened_at: float,
    last_at: float,
    *,
    value: float | None = None,
    limit: float | None = None,
) -> Track:
    """Return the track of an event that was opened by other means than a finding."""
    return Track(
        type=event_type,
        subject=subject,
        state="open",
        severity=severity,
        limit=limit,
        first_value=value,
        value=value,
        peak_value=value,
        peak_at=opened_at,
        started_at=opened_at,
        opened_at=opened_at,
        last_at=last_at,
        read_at=last_at,
    )


def is_over(track: Track, at: float) -> bool:
    """Tell whether a resolved event can be re-opened no more, and its track is to be dropped."""
    # A clock that was set back by more than that tells as little as one that ran on.
    return track.state == "resolved" and abs(at - track.read_at) > track.kept_seconds


def resolved(track: Track, kept_seconds: float) -> Track:
    """Return an event as resolved, to be re-opened for so long."""
    return replace(track, state="resolved", clearing=False, elapsed_seconds=0.0, snapshots=0, kept_seconds=kept_seconds)


def reopened(past: Track, new: Track) -> Track:
    """Return a resolved event as open again, instead of another one that would open now."""
    at = max(past.last_at, new.last_at)
    openings = (*(past.lately_opened_at or (past.opened_at,)), at)[-FLAPPING_OPENINGS:]
    higher = new if past.peak_value is None or (new.peak_value or 0.0) > past.peak_value else past
    return replace(
        past,
        state="open",
        severity=new.severity,
        limit=new.limit,
        value=new.value,
        peak_value=higher.peak_value,
        peak_at=higher.peak_at,
        last_at=at,
        read_at=new.read_at,
        open_seconds=0.0,
        openings=past.openings + 1,
        reopened_at=at,
        flapping=len(openings) == FLAPPING_OPENINGS and at - openings[0] <= FLAPPING_WITHIN_SECONDS,
        lately_opened_at=openings,
    )


def advance(event_type: str, track: Track | None, finding: Finding, limit: Limit, taken_at: float) -> Step:
    """Return what a finding at ``taken_at`` makes of its subject's event, None as track for a new subject."""
    if finding.verdict is Verdict.MISSING:
        return Step(track)
    if track is None or track.state != "open":
        return _before_it_opens(event_type, track, finding, limit, taken_at)
    if finding.verdict is not Verdict.CLEAR:
        return Step(_seen(track, finding, taken_at, elapsed_seconds=0.0, snapshots=0), "updated")
    elapsed = _elapsed(track, taken_at) if track.clearing else 0.0
    track = _seen(track, finding, taken_at, elapsed_seconds=elapsed, snapshots=track.snapshots + 1, clearing=True)
    if not _may_resolve(track, limit):
        return Step(track, "updated")
    return Step(resolved(track, limit.reopens_within_seconds), "resolved")


def _before_it_opens(event_type: str, track: Track | None, finding: Finding, limit: Limit, taken_at: float) -> Step:
    pending = track if track is not None and track.state == "pending" else None
    past = pending.past if pending is not None else track
    if finding.verdict is not Verdict.BREACH:
        return Step(None if past is None or is_over(past, taken_at) else past)
    if pending is None and past is not None and is_over(past, taken_at):
        past = None
    pending = _breaching(event_type, pending, past, finding, limit, taken_at)
    if not _is_due(pending, limit.opens_after_seconds, limit):
        return Step(pending)
    if past is not None:
        return Step(reopened(past, pending), "reopened")
    return Step(replace(pending, state="open", opened_at=pending.last_at, elapsed_seconds=0.0, snapshots=0), "opened")


def _breaching(
    event_type: str, pending: Track | None, past: Track | None, finding: Finding, limit: Limit, taken_at: float
) -> Track:
    if pending is not None:
        elapsed = _elapsed(pending, taken_at)
        return _seen(pending, finding, taken_at, elapsed_seconds=elapsed, snapshots=pending.snapshots + 1)
    return Track(
        type=event_type,
        subject=finding.subject,
        state="pending",
        severity=finding.severity,
        limit=None if finding.value is None else limit.value,
        first_value=finding.value,
        value=finding.value,
        peak_value=finding.value,
        peak_at=taken_at,
        started_at=taken_at,
        opened_at=taken_at,
        last_at=taken_at,
        read_at=taken_at,
        snapshots=1,
        past=past,
    )


def _seen(
    track: Track,
    finding: Finding,
    taken_at: float,
    *,
    elapsed_seconds: float,
    snapshots: int,
    clearing: bool = False,
) -> Track:
    """Return the track with the finding's figures, and with its run as given."""
    at = max(taken_at, track.last_at)
    value = track.value if finding.value is None else finding.value
    peak_value, peak_at = track.peak_value, track.peak_at
    if value is not None and (peak_value is None or value > peak_value):
        peak_value, peak_at = value, at
    severity = track.severity
    if finding.verdict is Verdict.BREACH:
        severity = max(severity, finding.severity, key=SEVERITIES.index)
    return replace(
        track,
        severity=severity,
        value=value,
        peak_value=peak_value,
        peak_at=peak_at,
        last_at=at,
        read_at=taken_at,
        clearing=clearing,
        elapsed_seconds=elapsed_seconds,
        snapshots=snapshots,
        open_seconds=track.open_seconds + _since_read(track, taken_at) if track.state == "open" else 0.0,
    )


def _since_read(track: Track, taken_at: float) -> float:
    return max(0.0, taken_at - track.read_at)


def _elapsed(track: Track, taken_at: float) -> float:
    return track.elapsed_seconds + _since_read(track, taken_at)


def _may_resolve(track: Track, limit: Limit) -> bool:
    clear_seconds = limit.opens_after_seconds if limit.clears_after_seconds is None else limit.clears_after_seconds
    if track.flapping:
        clear_seconds = max(clear_seconds, FLAPPING_CLEAR_SECONDS)
    return _is_due(track, clear_seconds, limit) and track.open_seconds + _JITTER_SECONDS >= limit.hold_seconds


def _is_due(track: Track, seconds: float, limit: Limit) -> bool:
    return track.elapsed_seconds + _JITTER_SECONDS >= seconds and track.snapshots >= limit.minimum_snapshots
