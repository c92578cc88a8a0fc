"""What the store keeps of the life of an event, from its host's snapshots and from people."""

from typing import Any

from sqlalchemy import Engine, select, update

from store.engine import reading, writing
from store.monitoring import acknowledge, resolve
from store.schema import events, scripts
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.snapshot import Details, DiskHealth, Process
from worker import duties
from worker.inbox import Inbox
from worker.ingest import drain

REMEDIES = {"cpu_spike": "cpu_high"}


def report(engine: Engine, inbox: Inbox, host: SimulatedHost, *failing: bool, since: float = NOW) -> float:
    """Report the health of a disk every ten seconds, each time in a drain of its own; return when the next is due."""
    for step, is_failing in enumerate(failing):
        now = since + 10 * step
        host.report(now, Details(disk_health=(DiskHealth("sda", is_failing),)), disks_failing=float(is_failing))
        take_in(engine, inbox, now)
    return since + 10 * len(failing)


def take_in(engine: Engine, inbox: Inbox, now: float) -> None:
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, REMEDIES)


def stored(engine: Engine, *columns: Any) -> list[Any]:
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(events.c.id))]


def by_hand(engine: Engine, act: Any, now: float) -> None:
    """Acknowledge or resolve the newest event."""
    with writing(engine) as connection:
        newest = connection.execute(select(events.c.id).order_by(events.c.id.desc()).limit(1)).scalar_one()
        act(connection, newest, "ada", now)


def test_an_event_that_opens_again_is_one_row_and_seen_anew(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    due = report(engine, inbox, host, True)
    by_hand(engine, acknowledge, NOW + 1)
    assert stored(engine, events.c.state, events.c.acknowledged_by) == [("open", "ada")]
    due = report(engine, inbox, host, False, since=due)
    with writing(engine) as connection:
        connection.execute(update(events).values(cleared_at=NOW))
    report(engine, inbox, host, True, True, since=due)
    columns = (events.c.state, events.c.openings, events.c.opened_at, events.c.reopened_at, events.c.resolved_at)
    assert stored(engine, *columns) == [("open", 2, NOW, NOW + 20, None)]
    assert stored(engine, events.c.acknowledged_by, events.c.acknowledged_at, events.c.cleared_at) == [(None,) * 3]


def test_an_event_that_opened_three_times_within_half_an_hour_is_marked(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    report(engine, inbox, host, *[True, False] * 3)
    assert stored(engine, events.c.state, events.c.openings, events.c.flapping) == [("open", 3, True)]


def test_an_event_that_was_resolved_by_hand_stays_so_while_it_goes_on(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    due = report(engine, inbox, host, True)
    by_hand(engine, resolve, NOW + 5)
    due = report(engine, inbox, host, True, True, False, since=due)
    columns = (events.c.state, events.c.resolved_at, events.c.resolved_by, events.c.last_at, events.c.openings)
    assert stored(engine, *columns) == [("resolved", NOW + 5, "ada", NOW, 1)]
    report(engine, inbox, host, True, since=due)
    assert stored(engine, events.c.state, events.c.resolved_at, events.c.resolved_by) == [("open", None, None)]


def test_an_event_that_opens_again_later_than_its_window_is_another_row(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    due = report(engine, inbox, host, True, False)
    report(engine, inbox, host, True, since=due + 600)
    assert stored(engine, events.c.state, events.c.openings) == [("resolved", 1), ("open", 1)]


def test_an_event_that_opens_again_has_the_evidence_of_that_moment_and_a_new_script(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    for step, cpu_percent in enumerate([10.0, 90.0, *[10.0] * 7, 95.0]):
        burner = Process(4000 + step, NOW, "burner", "root", cpu_percent, 1.0, 1e6)
        host.report(NOW + 10 * step, Details(processes_by_cpu=(burner,)), cpu_percent=cpu_percent)
        take_in(engine, inbox, NOW + 10 * step)
    assert [row[0]["processes"][0]["pid"] for row in stored(engine, events.c.evidence)] == [4009]
    with reading(engine) as connection:
        made = connection.execute(select(scripts.c.automatic).order_by(scripts.c.id)).scalars().all()
    assert made == [False, True]


def test_a_silent_host_whose_event_was_resolved_by_hand_is_not_down_anew(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    watch(engine, inbox, NOW, NOW + 95)
    by_hand(engine, resolve, NOW + 96)
    watch(engine, inbox, NOW + 100, NOW + 160)
    assert stored(engine, events.c.type, events.c.state) == [("host_down", "resolved")]
    host.report(NOW + 161)
    take_in(engine, inbox, NOW + 161)
    watch(engine, inbox, NOW + 165, NOW + 220)
    columns = (events.c.state, events.c.resolved_by, events.c.openings)
    assert stored(engine, *columns) == [("open", None, 2)]


def watch(engine: Engine, inbox: Inbox, start: float, end: float) -> None:
    """Sweep every five seconds, as the listener rings for it."""
    for step in range(int((end - start) / 5) + 1):
        duties.sweep(engine, inbox, start + 5 * step)
