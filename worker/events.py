"""The life of an event: pending (seen, not yet for long enough), open, resolved. Pure: the time is an argument.

Time is added up from one reading to the next, so that a clock that steps back costs one snapshot's time and no more.
"""

from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from worker.detection.finding import SEVERITIES, Finding, Severity, Verdict
from worker.detection.limits import Limit

Change = Literal["opened", "updated", "resolved"]


class Track(Struct, array_like=True, frozen=True):
    """One pending or open event of a host. Times are Unix seconds; they never run back.

    Stored by position: new fields go to the end with a default.
    """

    type: str
    subject: str
    """Empty where the host itself is the subject."""
    state: Literal["pending", "open"]
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


class Step(NamedTuple):
    """What one reading makes of an event: its next track, None when there is none any more, and what changed.

    When ``change`` is ``resolved`` the track still holds the event's last figures and is to be dropped.
    """

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


def advance(event_type: str, track: Track | None, finding: Finding, limit: Limit, taken_at: float) -> Step:
    """Return what a finding at ``taken_at`` makes of its subject's event, None as track for a new subject."""
    if finding.verdict is Verdict.MISSING:
        return Step(track)
    if track is None or track.state == "pending":
        if finding.verdict is not Verdict.BREACH:
            return Step(None)
        return _opened_if_due(_breaching(event_type, track, finding, limit, taken_at), limit)
    if finding.verdict is not Verdict.CLEAR:
        return Step(_seen(track, finding, taken_at, elapsed_seconds=0.0, snapshots=0), "updated")
    elapsed = _elapsed(track, taken_at) if track.clearing else 0.0
    track = _seen(track, finding, taken_at, elapsed_seconds=elapsed, snapshots=track.snapshots + 1, clearing=True)
    return Step(track, "resolved" if _is_due(track, limit) else "updated")


def _breaching(event_type: str, track: Track | None, finding: Finding, limit: Limit, taken_at: float) -> Track:
    if track is not None:
        return _seen(track, finding, taken_at, elapsed_seconds=_elapsed(track, taken_at), snapshots=track.snapshots + 1)
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
    )


def _opened_if_due(track: Track, limit: Limit) -> Step:
    if not _is_due(track, limit):
        return Step(track)
    return Step(replace(track, state="open", opened_at=track.last_at, elapsed_seconds=0.0, snapshots=0), "opened")


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
    )


def _elapsed(track: Track, taken_at: float) -> float:
    return track.elapsed_seconds + max(0.0, taken_at - track.read_at)


def _is_due(track: Track, limit: Limit) -> bool:
    return (
        track.elapsed_seconds + _JITTER_SECONDS >= limit.opens_after_seconds
        and track.snapshots >= limit.minimum_snapshots
    )
