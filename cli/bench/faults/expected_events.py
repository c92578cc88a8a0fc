"""Which events a host's stored snapshots must have made: docs/rules.md once more, without the product's code.

A rule that counts snapshots has one outcome. Of one that takes 30 seconds the exact snapshot is not known from outside,
since clocks were wrong and corrected; so there may be more than one course, and any of them is right. What is stored is
then held against the course that is nearest to it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cli.bench.faults.life import INTERVAL_SECONDS


class Expected(NamedTuple):
    """An event, by what is told of it whenever exactly it opened."""

    first_value: float
    peak_value: float
    severity: str
    state: str


class Seen(NamedTuple):
    """What one stored snapshot says, NaN for nothing."""

    number: int
    value: float


class Rule(NamedTuple):
    """A row of the table in docs/rules.md."""

    limit: float
    clears_below: float
    snapshots: int
    seconds: float
    critical_above: float
    """Infinity where it is never critical."""
    usual: str
    """The severity when it is not critical."""
    leap: float = 0.0
    """Where above 0 a breach is also so far above the snapshot before."""


CPU_HIGH = Rule(85.0, 80.0, 2, 30.0, 92.5, "high")
CPU_SPIKE = Rule(50.0, 45.0, 1, 0.0, math.inf, "medium", leap=20.0)
DISK_FULL = Rule(85.0, 80.0, 2, 0.0, 92.5, "high")

_SURE_AFTER = 2.0
"""Times the seconds of a rule: by then it has opened or resolved, whatever became of the clocks."""
_SURE_BEFORE = 0.5
"""Times the seconds of a rule: until then it has not, where the clock was right."""


class _State(NamedTuple):
    """Where a course is. ``event`` is None before the first breach; then it is pending until ``is_open``."""

    event: Expected | None = None
    is_open: bool = False
    run: int = 0
    """Snapshots in breach while pending, clear while open."""
    since: int = 0
    """The number of the run's first."""


Course = tuple[Expected, ...]


def nearest_course(rule: Rule, seen: Sequence[Seen], clock_is_right: bool, stored: Sequence[Expected]) -> Course:
    """Return of all courses of events that are right for these snapshots the one nearest to what is stored."""
    # What comes after a state does not depend on how it was reached: of those that reach it, the nearest is enough.
    alive: dict[_State, tuple[int, Course]] = {_State(): (0, ())}
    before = math.nan
    for one in seen:
        breach = one.value > rule.limit and (not rule.leap or one.value - before > rule.leap)
        before = one.value
        if math.isnan(one.value):
            continue
        after: dict[_State, tuple[int, Course]] = {}
        for state, way in alive.items():
            for next_state, ended in _next(rule, state, one, breach, clock_is_right):
                new = _longer(way, ended, stored)
                if next_state not in after or after[next_state][0] < new[0]:
                    after[next_state] = new
        alive = after
    ends = [
        _longer(way, state.event._replace(state="open") if state.event and state.is_open else None, stored)
        for state, way in alive.items()
    ]
    return max(ends, key=lambda way: way[0])[1]


def _longer(way: tuple[int, Course], ended: Expected | None, stored: Sequence[Expected]) -> tuple[int, Course]:
    """Return how near a course is, and the course, with one event more, if there is one."""
    near, course = way
    if ended is None:
        return way
    return near + (1 if course.count(ended) < stored.count(ended) else -1), (*course, ended)


def _next(
    rule: Rule, state: _State, one: Seen, breach: bool, clock_is_right: bool
) -> Iterable[tuple[_State, Expected | None]]:
    """Yield each state that may follow, with the event that ends by it."""
    event = state.event
    if event is None or not state.is_open:
        if not breach:
            yield _State(), None
            return
        run, since = (state.run + 1, state.since) if event else (1, one.number)
        event = _worse(rule, event, one.value)
        for due in _due(rule, run, one.number - since, clock_is_right):
            yield _State(event, True) if due else _State(event, False, run, since), None
    elif breach or one.value >= rule.clears_below:
        # At the edge it neither opens nor resolves.
        yield _State(_worse(rule, event, one.value) if breach else _higher(event, one.value), True), None
    else:
        run, since = (state.run + 1, state.since) if state.run else (1, one.number)
        for due in _due(rule, run, one.number - since, clock_is_right):
            yield (_State(), event._replace(state="resolved")) if due else (_State(event, True, run, since), None)


def _due(rule: Rule, run: int, intervals: int, clock_is_right: bool) -> tuple[bool, ...]:
    """Return whether a run is long enough: both where that cannot be told from outside."""
    if run < rule.snapshots:
        return (False,)
    seconds = intervals * INTERVAL_SECONDS
    if seconds >= _SURE_AFTER * rule.seconds:
        return (True,)
    if clock_is_right and seconds < _SURE_BEFORE * rule.seconds:
        return (False,)
    return (True, False)


def _worse(rule: Rule, event: Expected | None, value: float) -> Expected:
    severity = "critical" if value > rule.critical_above or (event and event.severity == "critical") else rule.usual
    if event is None:
        return Expected(value, value, severity, "")
    return _higher(event, value)._replace(severity=severity)


def _higher(event: Expected, value: float) -> Expected:
    return event._replace(peak_value=max(event.peak_value, value))
