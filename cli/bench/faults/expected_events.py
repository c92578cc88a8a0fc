"""Which events a host's stored snapshots must have made: docs/rules.md once more, without the product's code.

A rule that counts snapshots has one outcome. Of one that takes 30 seconds the exact snapshot is not known from outside,
since clocks were wrong and corrected; so there may be more than one course, and any of them is right. What is stored is
then held against the course that is nearest to it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import NamedTuple

from cli.bench.faults.life import INTERVAL_SECONDS


class Expected(NamedTuple):
    """An event, by what is told of it whenever exactly it opened."""

    first_value: float
    peak_value: float
    severity: str
    state: str
    openings: int = 1
    flapping: bool = False


class Seen(NamedTuple):
    """What one stored snapshot says, NaN for nothing."""

    number: int
    value: float
    after_silence: bool = False
    """Whether the host was silent before it for so long that it may count as no leap."""


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
    hold: float = 0.0
    """For so many seconds it stays open at least."""


CPU_HIGH = Rule(85.0, 80.0, 2, 30.0, 92.5, "high")
CPU_SPIKE = Rule(50.0, 45.0, 1, 0.0, math.inf, "medium", leap=20.0, hold=60.0)
DISK_FULL = Rule(85.0, 80.0, 2, 0.0, 92.5, "high")

_REOPENS_WITHIN = 600.0
_FLAPPING_OPENINGS = 3
_FLAPPING_WITHIN = 1800.0
_FLAPPING_CLEAR = 900.0

_MOST_DOUBT = 60.0
"""Seconds by which a time may be wrong even where the clock was right: what waited on its way counts as late."""
_EXTENDED = 3.0
"""Times the seconds of a window: by then it is over, whatever became of the clocks."""


_MOST_ALIVE = 500
"""Of the states that a course may be in at a time, the nearest are followed. Where all are wrong, any one shows it."""


class _State(NamedTuple):
    """Where a course is."""

    event: Expected | None = None
    """Open, or resolved and to be opened again."""
    is_open: bool = False
    pending: Expected | None = None
    """What is in breach and not open, or not open again."""
    run: int = 0
    """Snapshots in breach while pending, clear while open."""
    since: int = 0
    """The number of the run's first."""
    opened: tuple[int, ...] = ()
    """The numbers of those at which the event opened the last three times."""
    ended: int = 0
    """The number of that at which it resolved."""


Course = tuple[Expected, ...]


def nearest_course(rule: Rule, seen: Sequence[Seen], clock_is_right: bool, stored: Sequence[Expected]) -> Course:
    """Return of all courses of events that are right for these snapshots the one nearest to what is stored."""
    exact = _search(rule, seen, clock_is_right, stored, only_stored=True)
    if exact is not None and Counter(exact) == Counter(stored):
        return exact
    return _search(rule, seen, clock_is_right, stored, only_stored=False) or ()


def _search(
    rule: Rule, seen: Sequence[Seen], clock_is_right: bool, stored: Sequence[Expected], *, only_stored: bool
) -> Course | None:
    """Return the nearest course; with ``only_stored`` of those with no event that is not stored, None without any."""
    # What comes after a state does not depend on how it was reached: of those that reach it, the nearest is enough.
    alive: dict[_State, tuple[int, Course]] = {_State(): (0, ())}
    before = math.nan
    for one in seen:
        breach = one.value > rule.limit and (not rule.leap or one.value - before > rule.leap)
        before = one.value
        if math.isnan(one.value):
            continue
        breaches = (True, False) if breach and rule.leap and one.after_silence else (breach,)
        after: dict[_State, tuple[int, Course]] = {}
        for state, way in alive.items():
            for next_state, ended in (
                step for each in breaches for step in _next(rule, state, one, each, clock_is_right)
            ):
                if only_stored and not _may_become_stored(next_state.event, stored):
                    continue
                new = _longer(way, ended, stored)
                if next_state not in after or after[next_state][0] < new[0]:
                    after[next_state] = new
        alive = dict(nlargest(_MOST_ALIVE, after.items(), key=lambda item: item[1][0]))
    ends = [_longer(way, _as_stored(state), stored) for state, way in alive.items()]
    return max(ends, key=lambda way: way[0])[1] if ends else None


def _may_become_stored(event: Expected | None, stored: Sequence[Expected]) -> bool:
    return event is None or any(
        event.first_value == one.first_value and event.peak_value <= one.peak_value and event.openings <= one.openings
        for one in stored
    )


def _as_stored(state: _State) -> Expected | None:
    return state.event and state.event._replace(state="open" if state.is_open else "resolved")


def _longer(way: tuple[int, Course], ended: Expected | None, stored: Sequence[Expected]) -> tuple[int, Course]:
    """Return how near a course is, and the course, with one event more, if there is one."""
    near, course = way
    if ended is None:
        return way
    return near + (1 if course.count(ended) < stored.count(ended) else -1), (*course, ended)


def _next(
    rule: Rule, state: _State, one: Seen, breach: bool, clock_is_right: bool
) -> Iterable[tuple[_State, Expected | None]]:
    """Yield each state that may follow, with the event that ends for good by it."""
    if state.is_open:
        yield from ((after, None) for after in _of_open(rule, state, one, breach, clock_is_right))
        return
    if breach and state.pending:
        yield from ((after, None) for after in _of_breach(rule, state, one, clock_is_right))
        return
    kept = state._replace(pending=None, run=0, since=0)
    for over in _is_over(state, one, clock_is_right):
        before, ended = (_State(), _as_stored(state)) if over else (kept, None)
        if breach:
            yield from ((after, ended) for after in _of_breach(rule, before, one, clock_is_right))
        else:
            yield before, ended


def _of_breach(rule: Rule, state: _State, one: Seen, clock_is_right: bool) -> Iterable[_State]:
    run, since = (state.run + 1, state.since) if state.pending else (1, one.number)
    pending = _worse(rule, state.pending, one.value)
    for due in _due(rule.seconds, rule.snapshots, run, one.number - since, clock_is_right):
        if not due:
            yield state._replace(pending=pending, run=run, since=since)
        elif state.event is None:
            yield _State(pending, True, opened=(one.number,))
        else:
            opened = (*state.opened, one.number)[-_FLAPPING_OPENINGS:]
            for flapping in _flaps(opened, clock_is_right):
                again = _higher(state.event, pending.peak_value)._replace(
                    severity=pending.severity, openings=state.event.openings + 1, flapping=flapping
                )
                yield _State(again, True, opened=opened)


def _of_open(rule: Rule, state: _State, one: Seen, breach: bool, clock_is_right: bool) -> Iterable[_State]:
    event = state.event
    assert event is not None
    if breach or one.value >= rule.clears_below:
        # At the edge it neither opens nor resolves.
        seen = _worse(rule, event, one.value) if breach else _higher(event, one.value)
        yield state._replace(event=seen, run=0, since=0)
        return
    run, since = (state.run + 1, state.since) if state.run else (1, one.number)
    clear = max(rule.seconds, _FLAPPING_CLEAR if event.flapping else 0.0)
    is_clear = _due(clear, rule.snapshots, run, one.number - since, clock_is_right)
    is_held = _due(rule.hold, 0, run, one.number - state.opened[-1], clock_is_right)
    for due in {long and held for long in is_clear for held in is_held}:
        if due:
            yield state._replace(is_open=False, run=0, since=0, ended=one.number)
        else:
            yield state._replace(run=run, since=since)


def _due(wanted: float, snapshots: int, run: int, intervals: int, clock_is_right: bool) -> tuple[bool, ...]:
    """Return whether a run is long enough: both where that cannot be told from outside."""
    if run < snapshots:
        return (False,)
    seconds = intervals * INTERVAL_SECONDS
    if seconds >= wanted + min(wanted, _MOST_DOUBT):
        return (True,)
    if clock_is_right and seconds < wanted - min(wanted / 2, _MOST_DOUBT):
        return (False,)
    return (True, False)


def _is_over(state: _State, one: Seen, clock_is_right: bool) -> tuple[bool, ...]:
    """Return whether a resolved event can be opened no more."""
    if state.event is None:
        return (False,)
    seconds = (one.number - state.ended) * INTERVAL_SECONDS
    return _after(seconds, _REOPENS_WITHIN) if clock_is_right else _doubted(seconds, _REOPENS_WITHIN)


def _flaps(opened: tuple[int, ...], clock_is_right: bool) -> tuple[bool, ...]:
    """Return whether an event that opened at these snapshots is flapping."""
    if len(opened) < _FLAPPING_OPENINGS:
        return (False,)
    seconds = (opened[-1] - opened[0]) * INTERVAL_SECONDS
    is_past = _after(seconds, _FLAPPING_WITHIN) if clock_is_right else _doubted(seconds, _FLAPPING_WITHIN)
    return tuple(not past for past in is_past)


def _after(seconds: float, window: float) -> tuple[bool, ...]:
    """Return whether a window is past, by a clock that was right."""
    if abs(seconds - window) < _MOST_DOUBT:
        return (True, False)
    return (seconds > window,)


def _doubted(seconds: float, window: float) -> tuple[bool, ...]:
    """Return whether a window is past, by a clock that may have been set forth and back."""
    return (True,) if seconds > _EXTENDED * window else (True, False)


def _worse(rule: Rule, event: Expected | None, value: float) -> Expected:
    severity = "critical" if value > rule.critical_above or (event and event.severity == "critical") else rule.usual
    if event is None:
        return Expected(value, value, severity, "")
    return _higher(event, value)._replace(severity=severity)


def _higher(event: Expected, value: float) -> Expected:
    return event._replace(peak_value=max(event.peak_value, value))
