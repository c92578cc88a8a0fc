"""Previews of policies: the stored history replayed under the policies as they are, and with one changed.

The history is the snapshots where they are kept and few enough; else the roll-ups at 5 minutes, whose average stands
for all snapshots of a bucket. Those of an hour are read only where the roll-up of the hour does not tell already that
each of them is on the same side of all limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from store import policies, readings
from store.aggregates import FIVE_MINUTES, HOUR
from store.hosts import HostName
from store.policies import Governing
from store.readings import Readings, Span, Spans
from store.settings import Retention
from wire.preview import Amount, HostAmounts, Preview, Sum
from worker.detection.host_limits import BatchLimits, matches
from worker.detection.rule import HostRule, Rule
from worker.detection.rules import RULES
from worker.policies import resolved
from worker.replay import Opening, Past, replay

MOST_SNAPSHOTS = 200_000
"""That are replayed one by one."""
MOST_HOURS = 400_000
"""Of all hosts together that are replayed at five minutes: what is read of them stays well below a gigabyte."""
_MOST_HOSTS_SHOWN = 50
# What is replayed of a bucket, in seconds from its start: its first two snapshots and its last, at the usual pace.
_SNAPSHOTS_OF_BUCKET = np.array([0.0, 30.0, 270.0])
# The rule looks from one snapshot to the next: no roll-up tells.
_NEEDS_SNAPSHOTS = frozenset({"cpu_spike"})
_RULES = {rule.type: rule for rule in RULES}
# Of each host only the worst of these is stored over time.
_WORST = {"disk_full": "the fullest filesystem", "process_memory_high": "the largest process"}


@dataclass(frozen=True)
class _History:
    past: Past
    span: Span
    resolution_seconds: int
    notes: tuple[str, ...]


def preview(connection: Connection, proposed: Governing, seconds: float, retention: Retention, now: float) -> Preview:
    """Return what a policy would have opened in the last ``seconds``; one that sets nothing stands for none."""
    target = proposed.target
    hosts = policies.hosts_of(connection, target)
    host_ids = [host.id for host in hosts]
    present = policies.in_force(connection)
    changed = [one for one in present if one.target != target] + [proposed]
    rule = _RULES.get(target.type)
    span = Span(now - seconds, now)
    if rule is not None and _is_stored(rule, target.subject) and hosts:
        limits = [resolved(connection, some, host_ids) for some in (changed, present)]
        history = _history(connection, rule, host_ids, limits, span, retention)
        span = history.span
        sides = [_amounts(replay(rule, history.past, one), span.end) for one in limits]
    else:
        history, sides = None, [{}, {}]
    recorded = _amounts(_recorded(connection, proposed, host_ids, span), span.end)
    return Preview(
        start=span.start,
        end=span.end,
        hosts=len(hosts),
        resolution_seconds=history.resolution_seconds if history else None,
        notes=history.notes + _notes_on_worst(target.type) if history else _notes_on_nothing(target.type, len(hosts)),
        proposed=_sum(sides[0]) if history else None,
        present=_sum(sides[1]) if history else None,
        recorded=_sum(recorded),
        by_host=_by_host(hosts, sides[0], sides[1], recorded),
    )


def _is_stored(rule: Rule, subject: str) -> bool:
    """Tell whether there are values over time of what a policy is for."""
    return isinstance(rule, HostRule) or (rule.type in _WORST and not subject)


def _notes_on_nothing(event_type: str, hosts: int) -> tuple[str, ...]:
    if not hosts:
        return ("No host is in the scope of this policy.",)
    return (
        f"The history of {event_type} cannot be replayed: what is stored has no values of each subject over time. "
        "The events that did open are counted.",
    )


def _notes_on_worst(event_type: str) -> tuple[str, ...]:
    if event_type not in _WORST:
        return ()
    return (
        f"Of each host {_WORST[event_type]} was replayed, as no other is stored over time: what opened together counts "
        "once, and policies for single subjects are left out.",
    )


def _history(
    connection: Connection,
    rule: Rule,
    host_ids: Sequence[int],
    limits: Sequence[BatchLimits],
    span: Span,
    retention: Retention,
) -> _History:
    rate = readings.snapshots_a_second(connection, host_ids)
    kept = Span(max(span.start, span.end - retention.raw_seconds), span.end)
    few = Span(max(kept.start, span.end - MOST_SNAPSHOTS / max(rate, 1e-9)), span.end)
    notes: tuple[str, ...]
    if rule.type in _NEEDS_SNAPSHOTS or few == span:
        read = readings.of_snapshots(connection, rule.metric, host_ids, few)
        notes = ("Every snapshot was replayed.",)
        if few != span:
            notes += ("A leap is seen from one snapshot to the next only: so far back they are kept, and few enough.",)
        return _History(Past(_places(host_ids, read), read.at, read.average), few, 0, notes)
    hours = max(1, MOST_HOURS // len(host_ids))
    short = Span(max(span.start, span.end - hours * HOUR) // HOUR * HOUR, span.end)
    notes = (
        "Averages of five minutes were replayed: an event that a shorter peak opens is missed, two with less than that "
        "between them are one, and times are right to five minutes. What is not yet rolled up, of the last minutes, is "
        "left out.",
    )
    if short.start > span.start:
        notes += (f"Of so many hosts no more than the last {hours} hours are replayed.",)
    return _History(_rollups(connection, rule, host_ids, limits, short), short, FIVE_MINUTES, notes)


def _rollups(
    connection: Connection, rule: Rule, host_ids: Sequence[int], limits: Sequence[BatchLimits], span: Span
) -> Past:
    ids = np.array(host_ids, np.int64)
    whole = Spans(ids, np.full(len(ids), span.start), np.full(len(ids), span.end))
    hours = readings.of_rollups(connection, "rollups_1h", rule.metric, whole, extremes=True)
    mixed = _is_mixed(rule, _places(host_ids, hours), hours, limits)
    fives = readings.of_rollups(connection, "rollups_5m", rule.metric, _unclear(whole, hours, mixed), extremes=False)
    told = hours.where(~mixed)
    twelve = HOUR // FIVE_MINUTES
    place = np.concatenate([_places(host_ids, told).repeat(twelve), _places(host_ids, fives)])
    parts_of_hours = np.tile(np.arange(twelve) * FIVE_MINUTES, len(told.at))
    at = np.concatenate([told.at.repeat(twelve) + parts_of_hours, fives.at])
    value = np.concatenate([told.average.repeat(twelve), fives.average])
    # Of most hosts nothing is ever in breach.
    lowest = np.min([[one.of_host(host).lowest(rule.type) for host in range(len(ids))] for one in limits], axis=0)
    of_trouble = np.isin(place, np.unique(place[value >= lowest.astype(np.float32)[place]]))
    place, at, value = place[of_trouble], at[of_trouble], value[of_trouble]
    order = np.lexsort((at, place))
    readings_at = (at[order][:, None] + _SNAPSHOTS_OF_BUCKET).ravel()
    return Past(
        place[order].repeat(len(_SNAPSHOTS_OF_BUCKET)), readings_at, value[order].repeat(len(_SNAPSHOTS_OF_BUCKET))
    )


def _unclear(whole: Spans, hours: Readings, mixed: NDArray[np.bool_]) -> Spans:
    """Return the hours that are to be read more closely, those in a row as one, and what is behind the last hour."""
    unclear = hours.where(mixed)
    is_first = np.ones(len(unclear.at), bool)
    is_first[1:] = (np.diff(unclear.host_id) != 0) | (np.diff(unclear.at) != HOUR)
    is_last = np.append(is_first[1:], True)[: len(is_first)]
    after_last = np.searchsorted(hours.host_id, whole.host_id, side="right")
    has_hours = after_last > np.searchsorted(hours.host_id, whole.host_id)
    rolled_up_until = whole.start.copy()
    rolled_up_until[has_hours] = hours.at[after_last[has_hours] - 1] + HOUR
    return Spans(
        np.concatenate((unclear.host_id[is_first], whole.host_id)),
        np.concatenate((unclear.at[is_first], rolled_up_until)),
        np.concatenate((unclear.at[is_last] + HOUR, whole.end)),
    )


def _is_mixed(
    rule: Rule, place: NDArray[np.int64], hours: Readings, limits: Sequence[BatchLimits]
) -> NDArray[np.bool_]:
    """Tell of which hours the values may be on both sides of a limit."""
    mixed = np.zeros(len(place), bool)
    for one in limits:
        for kind, of_kind in enumerate(one.kinds):
            limit = of_kind.of(rule.type)
            mine = np.ones(len(place), bool) if one.kind is None else one.kind[place] == kind
            clear_below = limit.value - limit.clear_margin
            same = (hours.most < clear_below) | (hours.least > limit.value)
            if limit.enabled:
                mixed |= mine & ~same
    return mixed


def _places(host_ids: Sequence[int], read: Readings) -> NDArray[np.int64]:
    """Return the place of each reading's host; ``host_ids`` are in order."""
    return np.searchsorted(np.array(host_ids, np.int64), read.host_id)


def _recorded(connection: Connection, proposed: Governing, host_ids: Sequence[int], span: Span) -> list[Opening]:
    """Return the events that did open in a span, of the subjects that the policy is of."""
    target = proposed.target
    place_of = {host_id: place for place, host_id in enumerate(host_ids)}
    return [
        Opening(place_of[one.host_id], one.opened_at, one.resolved_at)
        for one in readings.events_of(connection, target.type, host_ids, span)
        if matches(target.subject, one.subject)
    ]


def _amounts(openings: Sequence[Opening], end: float) -> dict[int, Amount]:
    """Return what opened on each host, by its place."""
    amounts: dict[int, Amount] = {}
    for one in openings:
        before = amounts.get(one.host, Amount())
        seconds = min(end if one.resolved_at is None else one.resolved_at, end) - one.opened_at
        amounts[one.host] = Amount(before.events + 1, before.open_seconds + max(0.0, seconds))
    return amounts


def _sum(amounts: dict[int, Amount]) -> Sum:
    return Sum(
        sum(one.events for one in amounts.values()), sum(one.open_seconds for one in amounts.values()), len(amounts)
    )


def _by_host(hosts: Sequence[HostName], *sides: dict[int, Amount]) -> tuple[HostAmounts, ...]:
    nothing = Amount()
    every = [
        HostAmounts(hosts[place].id, hosts[place].name, *(side.get(place, nothing) for side in sides))
        for place in set().union(*sides)
    ]
    every.sort(key=lambda one: (-abs(one.proposed.events - one.present.events), -one.proposed.open_seconds, one.name))
    return tuple(every[:_MOST_HOSTS_SHOWN])
