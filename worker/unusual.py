"""One bucket of a lane's hosts: what the detector says of it becomes events. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np

from worker.detection.deviation.detector import Bucket, Detected, Memory, Season, detect
from worker.detection.deviation.expectation import BUCKET_SECONDS
from worker.detection.deviation.score import KINDS
from worker.detection.finding import Finding, Severity, Verdict
from worker.detection.limits import Limit
from worker.evaluation import EventChange, event_change
from worker.events import Track, advance

DEVIATION = "deviation"

_MEDIUM_FROM = 1.5
_MOST_METRICS = 6

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[int, list[Track]])


class Looked(NamedTuple):
    """What one bucket made of a lane."""

    memory: Memory
    season: Season
    tracks: dict[int, list[Track]]
    """By the host's place."""
    changes: list[EventChange]
    """``host`` is the host's place."""
    detected: Detected


@dataclass(frozen=True)
class Lane:
    """What is known of a lane before a bucket. A host's place is its row."""

    memory: Memory
    season: Season
    tracks: Mapping[int, list[Track]]
    groups: Sequence[np.ndarray[Any, np.dtype[np.intp]]]
    """The places of the hosts of each tag."""
    limits: Sequence[Limit]
    """By place."""
    unwatched: frozenset[int]
    """Places of hosts that are paused or revoked, or for which deviation is switched off: their events end."""


def encode(tracks: Mapping[int, list[Track]]) -> bytes | None:
    """Return a lane's tracks as they are stored, None where there are none."""
    return _encoder.encode(tracks) if tracks else None


def decode(blob: bytes | None) -> dict[int, list[Track]]:
    """Read a lane's tracks."""
    return {} if blob is None else _decoder.decode(blob)


def look(lane: Lane, bucket: Bucket, names: Sequence[str], start_at: float) -> Looked:
    """Return what the bucket that starts then makes of a lane; ``names`` are those of the metrics."""
    memory, season, detected = detect(lane.memory, lane.season, bucket, list(lane.groups))
    tracks, changes = follow(lane, detected, names, start_at + BUCKET_SECONDS)
    return Looked(memory, season, tracks, changes, detected)


def follow(
    lane: Lane, detected: Detected, names: Sequence[str], at: float
) -> tuple[dict[int, list[Track]], list[EventChange]]:
    """Return the tracks after a bucket that ended then, and what changed of the events.

    Never more than one deviation of a host is open: its subject is the metric that stood out when it opened.
    """
    odd = np.flatnonzero(detected.deviation.score > np.array([limit.value for limit in lane.limits])).tolist()
    tracks: dict[int, list[Track]] = {}
    changes: list[EventChange] = []
    for place in sorted({*odd, *lane.tracks}):
        mine = list(lane.tracks.get(place, ()))
        if place in lane.unwatched:
            changes += [event_change(place, track, "resolved") for track in mine if track.state == "open"]
            continue
        kept, changed = _advanced(mine, place, detected, lane.memory, names, lane.limits[place], at)
        changes += changed
        if kept:
            tracks[place] = kept
    return tracks, changes


def _advanced(
    tracks: list[Track],
    place: int,
    detected: Detected,
    before: Memory,
    names: Sequence[str],
    limit: Limit,
    at: float,
) -> tuple[list[Track], list[EventChange]]:
    """Return a host's tracks after a bucket, and what changed of its events."""
    if not detected.is_seen[place]:
        return tracks, []
    score = float(detected.deviation.score[place])
    share = detected.deviation.share[place]
    leading = names[int(share.argmax())]
    under_way = next((track for track in tracks if track.state != "resolved"), None)
    subject = leading if under_way is None else under_way.subject
    verdict = Verdict.BREACH if score > limit.value else Verdict.CLEAR
    severity: Severity = limit.severity or ("medium" if score >= _MEDIUM_FROM * limit.value else "low")
    kept: list[Track] = []
    changes: list[EventChange] = []
    known = {track.subject: track for track in tracks}
    if verdict is Verdict.BREACH:
        known.setdefault(subject, None)  # type: ignore[arg-type]
    for one, track in known.items():
        is_meant = one == subject
        finding = Finding(one, verdict if is_meant else Verdict.CLEAR, score if is_meant else None, severity)
        step = advance(DEVIATION, track, finding, limit, at)
        if step.track is not None:
            kept.append(step.track)
            if step.change is not None:
                evidence = _evidence(place, detected, before, names) if step.change in ("opened", "reopened") else {}
                changes.append(event_change(place, step.track, step.change, evidence))
    return kept, changes


def _evidence(place: int, detected: Detected, before: Memory, names: Sequence[str]) -> dict[str, Any]:
    """Return what was expected of the metrics that stand out most, and what was seen."""
    share = detected.deviation.share[place]
    kind = KINDS[int(detected.deviation.kind[place])]
    surprise, model = detected.surprise, before.model
    expected = detected.peers_median if kind == "peers" else surprise.expected
    standing_out = [metric for metric in np.argsort(-share)[:_MOST_METRICS].tolist() if share[metric] > 0]
    return {
        "kind": kind,
        "metrics": [
            {
                "name": names[metric],
                "seen": float(surprise.seen[place, metric]),
                "expected": float(expected[place, metric]),
                "usual_error": float(model.error[place, metric]),
                "lowest_before": float(model.low[place, metric]),
                "highest_before": float(model.high[place, metric]),
            }
            for metric in standing_out
        ],
    }
