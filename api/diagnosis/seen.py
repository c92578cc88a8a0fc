"""What is known of a host when it is diagnosed. Times are Unix seconds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from api.diagnosis.measures import PLACE, Averages
from api.diagnosis.trend import NOTHING, History
from wire.snapshot import Details, Process

WHOLE_SECONDS = 900.0
"""The last of a host's history that its averages are over."""
RECENT_SECONDS = 30.0
"""The last of that, where the host's pace allows it."""
MOST_NAMED = 3
"""Processes, filesystems and the like that a text names."""
FEWEST_PEERS = 4
"""Besides the host: with fewer nothing can be told from them."""

_HOUR = 3600.0
_DAY = 24 * _HOUR
# Fewer tell no range.
_FEWEST = 3
# A collector that started anew may find another time of its boot.
_SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class OpenEvent:
    """An open event of the host, as far as it matters here."""

    id: int
    type: str
    subject: str
    severity: str = "high"
    value: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


class View(NamedTuple):
    """The host's details as they were at some time."""

    taken_at: float
    details: Details


class Peers(NamedTuple):
    """Hosts with the same tag: how many were looked at, and by metric what half of them were below in the last hour."""

    tag: str
    hosts: int
    median: Mapping[str, float]


class Range(NamedTuple):
    """What was usual for a metric, by its means over hours."""

    least: float
    most: float
    when: str
    """As a sentence says it: ``at this hour of the last 7 days``."""


@dataclass(frozen=True)
class Seen:
    """What is known of one host."""

    host: str
    now: float
    """What the diagnosis is of; for a silent host its last sign of life."""
    averages: Averages
    """Of this host alone."""
    silent_seconds: float | None = 0.0
    """For how long it has sent nothing; None where it never did."""
    whole_seconds: float = WHOLE_SECONDS
    """What the averages are over: less than WHOLE_SECONDS for a host that was not seen for so long."""
    recent_seconds: float = RECENT_SECONDS
    fives: Mapping[str, History] = field(default_factory=dict)
    """By metric, its means over 5 minutes of the last half day."""
    hours: Mapping[str, History] = field(default_factory=dict)
    """By metric, its means over hours of the last week."""
    peers: Peers | None = None
    view: View | None = None
    earlier: View | None = None
    """Some ten minutes older than the view."""
    filesystems: Mapping[str, History] = field(default_factory=dict)
    """By mount, the percentage that was in use, over up to three days."""
    events: Sequence[OpenEvent] = ()
    remedy_of: Mapping[str, str] = field(default_factory=dict)
    """By type of event, the remedy that answers it."""

    @property
    def details(self) -> Details:
        """The latest details, empty where none are known."""
        return Details() if self.view is None else self.view.details

    def get(self, name: str) -> float:
        """Return a metric's mean with what was last weighing most, 0 where it is missing."""
        return finite(self.averages.of(name)[0])

    def last(self, name: str) -> float:
        """Return a metric's mean over the last of the range, 0 where it is missing."""
        return finite(self.averages.recent[0, PLACE[name]])

    def whole(self, name: str) -> float:
        """Return a metric's mean over the whole range, 0 where it is missing."""
        return finite(self.averages.whole[0, PLACE[name]])

    def has(self, name: str) -> bool:
        """Say whether the host has a metric."""
        return not math.isnan(self.averages.recent[0, PLACE[name]])

    def usual(self, name: str) -> Range | None:
        """Return what was usual for a metric at this hour of the last days; else in the last day; None for unknown."""
        hours = self.hours.get(name, NOTHING)
        this_hour = math.floor(self.now / _HOUR) * _HOUR
        at_this_hour = hours.mean[np.isin(hours.at, [this_hour - _DAY * back for back in range(1, 8)])]
        in_the_day = hours.mean[(hours.at >= this_hour - _DAY) & (hours.at < this_hour)]
        for known, when in ((at_this_hour, "at this hour of the last days"), (in_the_day, "in the day before")):
            known = known[np.isfinite(known)]
            if len(known) >= _FEWEST:
                return Range(float(known.min()), float(known.max()), when)
        return None

    def peers_median(self, name: str) -> float | None:
        """Return what half of the peers were below, None where that is not known."""
        median = math.nan if self.peers is None else self.peers.median.get(name, math.nan)
        return median if math.isfinite(median) else None

    def by_cpu(self) -> list[Process]:
        """Return its busiest processes."""
        return _largest(self.details.processes_by_cpu, lambda one: one.cpu_percent)

    def by_memory(self) -> list[Process]:
        """Return its largest processes."""
        return _largest(self.details.processes_by_memory, lambda one: one.memory_bytes)

    def before(self, process: Process) -> Process | None:
        """Return a process as it was in the earlier view, None where it was not there."""
        if self.earlier is None:
            return None
        known = (*self.earlier.details.processes_by_cpu, *self.earlier.details.processes_by_memory)
        return next((one for one in known if _is_same(one, process)), None)

    @property
    def seconds_between_views(self) -> float:
        """How much older the earlier view is; 0 where there is none."""
        return 0.0 if self.view is None or self.earlier is None else self.view.taken_at - self.earlier.taken_at

    def event(self, *types: str, subject: str | None = None) -> OpenEvent | None:
        """Return the open event of the first of these types that has one, of that subject where one is given."""
        return next(
            (
                event
                for wanted in types
                for event in self.events
                if event.type == wanted and subject in (None, event.subject)
            ),
            None,
        )


def finite(value: float) -> float:
    """Return the value, 0 where it is none."""
    return float(value) if math.isfinite(value) else 0.0


def _is_same(one: Process, other: Process) -> bool:
    return one.pid == other.pid and abs(one.start_time - other.start_time) < _SAME_START_SECONDS


def _largest(processes: Sequence[Process], by: Callable[[Process], float]) -> list[Process]:
    return sorted(processes, key=lambda one: -finite(by(one)))[:MOST_NAMED]
