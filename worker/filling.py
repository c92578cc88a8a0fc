"""What the latest details of hosts make of the histories of their filesystems, and of their disk_forecast. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.filesystems import (
    MISSING,
    PARTS,
    UNITS_IN_PERCENT,
    Held,
    Row,
    decode_mounts,
    encode_mounts,
    percent_of,
    point_type,
    subject,
)
from wire.snapshot import Directory, Filesystem, Unreadable, decode_details, decode_filesystems
from wire.text import storable
from worker.detection.evidence import directories_evidence, filesystem_evidence
from worker.detection.finding import Finding, Severity, Verdict
from worker.detection.forecast import FULL_PERCENT, Forecast, forecast, is_stirring, may_fill
from worker.detection.host_limits import BatchLimits, HostLimits
from worker.detection.limits import Limit
from worker.evaluation import EventChange, event_change
from worker.events import Step, Track, advance, decode_tracks, encode_tracks

DISK_FORECAST = "disk_forecast"
MOST_MOUNTS = 64
"""Of one host that are followed."""
POINT_SECONDS = 300
"""Between two points of a filesystem that fills or may be about to."""
CLEAR_SECONDS = 3600.0
"""For so long there must be no trend for an event to resolve."""
QUIET_SECONDS = 1800
"""Between two points of the others."""

_FIRST_POINTS = 6
_TIERS = ((3 * 3600, POINT_SECONDS), (12 * 3600, 1800), (72 * 3600, 7200))
"""Up to which age, in seconds, one point is kept in so many seconds."""
_SEVERITY: Severity = "medium"
_AT_ONCE = Limit(0.0, opens_after_seconds=0.0, minimum_snapshots=1)
_GONE = Finding("", Verdict.CLEAR, None, _SEVERITY)


@dataclass
class Looked:
    """What is to be written."""

    rows: list[Row] = field(default_factory=list)
    changes: list[tuple[int, EventChange]] = field(default_factory=list)
    """By host id."""


class _Host(NamedTuple):
    """A host with news: its history, laid out as its filesystems are now, and these."""

    held: Held
    limits: HostLimits
    at: int
    mounts: bytes
    points: bytes
    filesystems: Sequence[Filesystem]


def look(hosts: Sequence[Held], limits: BatchLimits, now: float) -> Looked:
    """Add the latest details of hosts to their histories, forecast, and advance their events.

    ``limits`` are those of the hosts, in their order, in hours. Of details that cannot be read, or that were looked at
    before, nothing comes.
    """
    looked = Looked()
    alike: defaultdict[int, list[_Host]] = defaultdict(list)
    for place, held in enumerate(hosts):
        if held.unwatched:
            _end(looked, held, now)
        elif (host := _with_news(held, limits.of_host(place), now)) is not None:
            alike[len(host.filesystems)].append(host)
    for mounts, some in alike.items():
        _look_at(looked, some, mounts)
    return looked


def _end(looked: Looked, held: Held, now: float) -> None:
    """Resolve the events of a host that nobody watches any more."""
    events = _Events(held.host_id, _tracks(held))
    events.end_all_but((), now)
    looked.changes += events.changes
    assert held.mounts is not None
    assert held.points is not None
    looked.rows.append(Row(held.host_id, held.mounts, held.points, now, encode_tracks(list(events.tracks.values()))))


def _with_news(held: Held, limits: HostLimits, now: float) -> _Host | None:
    try:
        filesystems = decode_filesystems(held.details)
    except Unreadable:
        return None
    once = {one.mount: one for one in filesystems[:MOST_MOUNTS]}
    if not once:
        # There is no such host: its details were too long to be sent.
        return None
    at = int(min(held.taken_at, now))
    mounts = encode_mounts(list(once))
    points = held.points or b""
    if held.mounts is not None and held.mounts != mounts:
        points = _laid_out_anew(points, decode_mounts(held.mounts), list(once))
    size = point_type(len(once)).itemsize
    if points and int.from_bytes(points[-size : 4 - size], "little") == at:
        return None
    return _Host(held, limits, at, mounts, points, list(once.values()))


def _laid_out_anew(points: bytes, before: list[str], mounts: list[str]) -> bytes:
    """Return points for other mounts than they were taken of: what is new is missing, what is gone is left out."""
    old = np.frombuffer(points, point_type(len(before)))
    new = np.empty(len(old), point_type(len(mounts)))
    new["at"] = old["at"]
    of_mount = old["used"].reshape(len(old), len(before), PARTS)
    for place, mount in enumerate(mounts):
        column = of_mount[:, before.index(mount)] if mount in before else MISSING
        new["used"][:, place * PARTS : (place + 1) * PARTS] = column
    return new.tobytes()


def _look_at(looked: Looked, hosts: Sequence[_Host], mounts: int) -> None:
    """Look at hosts with so many mounts each."""
    points, counts = _kept(*_appended(hosts, mounts))
    ends = np.cumsum(counts)
    starts = ends - counts
    used = points["used"]
    newest = used[ends - 1]
    latest, least = percent_of(newest), np.minimum.reduceat(used, starts, axis=0) / UNITS_IN_PERCENT
    with np.errstate(invalid="ignore"):
        fills = may_fill(latest, least) | (latest >= FULL_PERCENT)
        stirs: NDArray[np.bool_] = np.any(is_stirring(latest, least), axis=1)
    is_filling: NDArray[np.bool_] = np.any(fills, axis=1)
    forecasts = _forecasts(points, starts, ends, fills)
    body, size = points.tobytes(), points.dtype.itemsize
    of_host = zip(hosts, starts.tolist(), ends.tolist(), stirs.tolist(), is_filling.tolist(), strict=True)
    for place, (host, start, end, stirring, filling) in enumerate(of_host):
        tracks = host.held.tracks
        if filling or tracks is not None:
            events, subjects = _Events(host.held.host_id, _tracks(host.held)), _subjects(host.filesystems)
            for part, of_part in enumerate(subjects):
                foreseen = forecasts.get((place, part))
                events.see(host, part, of_part, float(latest[place, part]), foreseen)
            events.end_all_but(subjects, host.at)
            looked.changes += events.changes
            tracks = encode_tracks(list(events.tracks.values()))
        is_awaited = stirring or tracks is not None or end - start < _FIRST_POINTS
        pause = POINT_SECONDS if is_awaited else QUIET_SECONDS
        looked.rows.append(
            Row(host.held.host_id, host.mounts, body[size * start : size * end], float(host.at + pause), tracks)
        )


def _appended(hosts: Sequence[_Host], mounts: int) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the points of all hosts, each with its latest reading as the last, and how many each has."""
    kind = point_type(mounts)
    new = np.empty(len(hosts), kind)
    new["at"] = [host.at for host in hosts]
    percent = np.array([(one.used_percent, one.inodes_percent) for host in hosts for one in host.filesystems])
    with np.errstate(invalid="ignore"):
        is_possible = (percent >= 0.0) & (percent <= 100.0)
    units = np.where(is_possible, np.rint(np.where(is_possible, percent, 0.0) * UNITS_IN_PERCENT), MISSING)
    new["used"] = units.reshape(len(hosts), mounts * PARTS)
    latest, size = new.tobytes(), kind.itemsize
    parts = ((host.points, latest[size * place : size * (place + 1)]) for place, host in enumerate(hosts))
    points = np.frombuffer(b"".join(chain.from_iterable(parts)), kind)
    return points, np.array([len(host.points) // size + 1 for host in hosts], np.int64)


def _kept(points: NDArray[np.void], counts: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the points that are kept, fewer of older ones, and how many each host has of them.

    A point that is not before the latest is of a clock that was wrong.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    lasts = np.cumsum(counts) - 1
    at = points["at"].astype(np.int64)
    age = at[lasts][owner] - at
    step = np.select([age <= oldest for oldest, _ in _TIERS], [seconds for _, seconds in _TIERS], 0)
    slot = at // np.maximum(step, 1)
    is_kept = (age > 0) & (step > 0)
    is_kept[:-1] &= (slot[1:] != slot[:-1]) | (step[1:] != step[:-1])
    is_kept[lasts] = True
    return points[is_kept], np.bincount(owner[is_kept], minlength=len(counts))


def _forecasts(
    points: NDArray[np.void], starts: NDArray[np.int64], ends: NDArray[np.int64], fills: NDArray[np.bool_]
) -> Mapping[tuple[int, int], "_Foreseen"]:
    """Return the forecasts of the series that may fill, by the place of the host and of the part."""
    series: list[tuple[int, int]] = [(int(place), int(part)) for place, part in np.argwhere(fills)]
    if not series:
        return {}
    width = int(max(ends[place] - starts[place] for place, _ in series))
    at, percent = np.zeros((len(series), width)), np.full((len(series), width), np.nan)
    for row, (place, part) in enumerate(series):
        some = points[starts[place] : ends[place]]
        at[row, width - len(some) :] = some["at"]
        percent[row, width - len(some) :] = percent_of(some["used"][:, part])
    return dict(zip(series, _each(forecast(at, percent)), strict=True))


class _Foreseen(NamedTuple):
    """One series' row of a Forecast."""

    percent_per_hour: float
    hours: float
    low_hours: float
    high_hours: float
    since: float


def _each(forecasts: Forecast) -> Iterator[_Foreseen]:
    for row in zip(*(column.tolist() for column in vars(forecasts).values()), strict=True):
        yield _Foreseen(*row)


def _subjects(filesystems: Sequence[Filesystem]) -> list[str]:
    """Return the subject of each part."""
    return [subject(one.mount, part) for one in filesystems for part in range(PARTS)]


def _tracks(held: Held) -> list[Track]:
    try:
        return decode_tracks(held.tracks)
    except ValueError:
        # Its events stay open until they are seen anew.
        return []


class _Events:
    """One host's disk_forecast events."""

    def __init__(self, host_id: int, tracks: Sequence[Track]) -> None:
        self.tracks = {track.subject: track for track in tracks}
        self.changes: list[tuple[int, EventChange]] = []
        self._host_id = host_id

    def see(self, host: _Host, part: int, name: str, latest: float, foreseen: _Foreseen | None) -> None:
        """Advance the event of one part of the host's filesystems."""
        if foreseen is None and name not in self.tracks:
            return
        limit = host.limits.of(DISK_FORECAST, storable(host.filesystems[part // PARTS].mount))
        if not limit.enabled:
            self._end(name, host.at)
            return
        value = None if foreseen is None or foreseen.hours == np.inf else 3600.0 * foreseen.hours
        finding = Finding(name, _verdict(latest, foreseen, limit), value, limit.severity or _SEVERITY)
        step = advance(DISK_FORECAST, self.tracks.get(name), finding, _in_seconds(limit, finding), host.at)
        is_news = step.change in ("opened", "reopened")
        self._apply(name, step, _evidence(host, part, foreseen) if is_news and foreseen is not None else {})

    def end_all_but(self, subjects: Sequence[str], now: float) -> None:
        """Resolve the events of what is gone."""
        for name in self.tracks.keys() - set(subjects):
            self._end(name, now)

    def _end(self, name: str, now: float) -> None:
        if name in self.tracks:
            self._apply(name, advance(DISK_FORECAST, self.tracks[name], _GONE, _AT_ONCE, now), {})

    def _apply(self, name: str, step: Step, evidence: Mapping[str, Any]) -> None:
        if step.track is None:
            self.tracks.pop(name, None)
        else:
            self.tracks[name] = step.track
        if step.track is not None and step.change is not None:
            self.changes.append((self._host_id, event_change(0, step.track, step.change, evidence)))


def _in_seconds(limit: Limit, finding: Finding) -> Limit:
    """Return the limit in the unit of the event's value; to clear takes longer than to open."""
    seconds = CLEAR_SECONDS if finding.verdict is Verdict.CLEAR else limit.opens_after_seconds
    return replace(limit, value=3600.0 * limit.value, opens_after_seconds=seconds)


def _verdict(latest: float, foreseen: _Foreseen | None, limit: Limit) -> Verdict:
    """Return a breach where it is likely to be full within the limit: at the late end of the interval."""
    if np.isnan(latest):
        return Verdict.MISSING
    if latest >= FULL_PERCENT:
        return Verdict.HOLDS
    if foreseen is not None and foreseen.high_hours <= limit.value:
        return Verdict.BREACH
    return Verdict.CLEAR if foreseen is None or foreseen.hours > limit.value - limit.clear_margin else Verdict.HOLDS


def _evidence(host: _Host, part: int, foreseen: _Foreseen) -> dict[str, Any]:
    one = host.filesystems[part // PARTS]
    is_space = part % PARTS == 0
    growth = foreseen.percent_per_hour / 100.0 * one.used_bytes / (one.used_percent / 100.0)
    return {
        "taken_at": host.at,
        "filesystem": filesystem_evidence(one),
        "forecast": {
            "of": "bytes" if is_space else "inodes",
            "growth_per_hour_percent": foreseen.percent_per_hour,
            **({"growth_per_hour_bytes": growth} if is_space else {}),
            "full_in_seconds": 3600.0 * foreseen.hours,
            "full_in_low_seconds": 3600.0 * foreseen.low_hours,
            "full_in_high_seconds": 3600.0 * foreseen.high_hours,
            "trend_since_at": foreseen.since,
        },
        **(directories_evidence(_directories(host), storable(one.mount)) if is_space else {}),
    }


def _directories(host: _Host) -> Sequence[Directory]:
    try:
        return decode_details(host.held.details).directories
    except Unreadable:
        return ()
