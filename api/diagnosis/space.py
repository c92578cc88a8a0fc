"""What is said of the space on filesystems: how full, since when, how soon it is all, and what fills it."""

import math
from typing import NamedTuple

import msgspec

from api.diagnosis.measures import LEAST_SCORE, Judged, severity_of
from api.diagnosis.seen import MOST_NAMED, OpenEvent, Seen
from api.diagnosis.sentences import Story
from api.diagnosis.trend import NOTHING
from wire.snapshot import Directory, Filesystem
from wire.words import quoted

FULL_PERCENT = 85.0
INODES = " (inodes)"
"""What the subject of an event of inodes has behind the mount."""
_HOUR = 3600.0
_DAY = 24 * _HOUR
# What is full within the hour scores this.
_MOST_FORESEEN_SCORE = 90.0
_NOTABLE_CHANGE_PERCENT = 1.0
_NOTABLE_GROWTH_BYTES = 2**20


class Filling(NamedTuple):
    """A filesystem that is nearly full, or will be."""

    filesystem: Filesystem
    forecast: OpenEvent | None
    """``disk_forecast``, of its space or of its inodes."""

    @property
    def full_in_seconds(self) -> float:
        """How soon it will be full; infinite where that is not foreseen."""
        value = None if self.forecast is None else self.forecast.value
        return value if value is not None and value >= 0 else math.inf


class _Forecast(msgspec.Struct):
    """A forecast as evidence has it."""

    growth_per_hour_percent: float


def filling(seen: Seen) -> list[Filling]:
    """Return the filesystems that need room, the most urgent first."""
    found = []
    for one in _measured(seen):
        events = (seen.event("disk_forecast", subject=one.mount + part) for part in ("", INODES))
        forecast = min((event for event in events if event), key=lambda event: event.value or math.inf, default=None)
        if _used(one) > FULL_PERCENT or forecast is not None:
            found.append(Filling(one, forecast))
    return sorted(found, key=lambda one: (one.full_in_seconds, -_used(one.filesystem)))[:MOST_NAMED]


def foreseen(seen: Seen, judged: Judged) -> Judged:
    """Return how space is judged with what is foreseen of it."""
    soonest = min((one.full_in_seconds for one in filling(seen)), default=math.inf)
    if soonest > _DAY:
        return judged
    score = LEAST_SCORE + (_MOST_FORESEEN_SCORE - LEAST_SCORE) * (1 - soonest / _DAY)
    if score <= judged.score:
        return judged
    return judged._replace(score=score, severity=severity_of(score))


def tell_space(seen: Seen, judged: Judged, story: Story) -> None:
    """Say how full filesystems are, and how soon they will be."""
    urgent = filling(seen)
    told = [one.filesystem for one in urgent] or _fullest(seen)
    if not told:
        used, limit = story.percent("fullest", seen.last("disk_percent")), story.percent("limit", judged.limit)
        story.say(f"The fullest filesystem is used at {used} (limit {limit}).")
    forecasts = {one.filesystem.mount: one for one in urgent}
    for filesystem in told:
        _tell_one(seen, judged, filesystem, story)
        if filesystem.mount in forecasts:
            _tell_future(forecasts[filesystem.mount], story)
            _tell_directory(seen, filesystem, story)


def _tell_one(seen: Seen, judged: Judged, one: Filesystem, story: Story) -> None:
    used = story.percent(f"{one.mount} in use", one.used_percent)
    limit = story.percent("limit", judged.limit)
    free = story.size(f"{one.mount} free", max(0.0, one.size_bytes - one.used_bytes))
    whole = story.size(f"{one.mount} size", one.size_bytes)
    story.say(f"{quoted(one.mount)} is used at {used} (limit {limit}): {free} of {whole} are free.")
    if math.isfinite(one.inodes_percent) and one.inodes_percent > min(one.used_percent, FULL_PERCENT):
        story.say(f"Of its inodes {story.percent(f'{one.mount} inodes', one.inodes_percent)} are used.")
    past = seen.filesystems.get(one.mount, NOTHING)
    recent = (past.at >= seen.now - _DAY) & (past.at < seen.now) & (past.mean == past.mean)
    if recent.any():
        at, percent = float(past.at[recent][0]), float(past.mean[recent][0])
        if abs(one.used_percent - percent) >= _NOTABLE_CHANGE_PERCENT:
            before = story.duration("earlier look", seen.now - at)
            story.say(f"{before} before it was at {story.percent(f'{one.mount} then', percent)}.")


def _tell_future(one: Filling, story: Story) -> None:
    if one.forecast is None or not math.isfinite(one.full_in_seconds):
        return
    mount = one.filesystem.mount
    of_inodes = " of inodes" if one.forecast.subject.endswith(INODES) else ""
    soon = story.duration(f"{mount} full in", one.full_in_seconds)
    pace = ""
    try:
        grows = msgspec.convert(one.forecast.evidence.get("forecast"), _Forecast).growth_per_hour_percent
        pace = f", growing by {story.number(f'{mount} growth in an hour', grows, 'percent', digits=2)} % an hour"
    except msgspec.ValidationError:
        pass
    story.say(f"It is likely to be out{of_inodes or ' of space'} in {soon}{pace}.")


def _tell_directory(seen: Seen, one: Filesystem, story: Story) -> None:
    fastest = fastest_growing(seen, one.mount)
    if fastest is not None:
        grown = story.size("growth of that directory", fastest.growth_bytes)
        within = story.duration("time of that growth", fastest.seconds)
        holds = story.size("size of that directory", fastest.bytes)
        story.say(f"{quoted(fastest.path)} grew most: by {grown} within {within}, to {holds}.")


def fastest_growing(seen: Seen, mount: str) -> Directory | None:
    """Return the directory of a filesystem that grew most, None where none is known to have grown notably."""
    growing = [
        one
        for one in seen.details.directories
        if one.mount == mount and one.growth_bytes >= _NOTABLE_GROWTH_BYTES and one.seconds > 0
    ]
    return max(growing, key=lambda one: one.growth_bytes, default=None)


def _fullest(seen: Seen) -> list[Filesystem]:
    return sorted(_measured(seen), key=_used, reverse=True)[:1]


def _measured(seen: Seen) -> list[Filesystem]:
    return [
        one
        for one in seen.details.filesystems
        if all(map(math.isfinite, (one.used_percent, one.used_bytes, one.size_bytes)))
    ]


def _used(one: Filesystem) -> float:
    """Return how full it is, of space or of inodes."""
    return max((part for part in (one.used_percent, one.inodes_percent) if math.isfinite(part)), default=0.0)
