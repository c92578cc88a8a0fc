"""Roll-ups from real drains, on both databases, held against a computation from the raw snapshots."""

import itertools
import math
import multiprocessing
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from sqlalchemy import Engine, select

from store import retention, rollup_backlog, rollup_lanes, rollups
from store.aggregates import FIVE_MINUTES, HOUR, Aggregates, coarser, of_snapshots
from store.engine import connect, reading, writing
from store.schema import rollups_5m, snapshots
from store.settings import Retention
from tests.core import unpacked
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.metrics import INDEX, NAMES
from worker import rollups as duty
from worker.inbox import Inbox
from worker.ingest import drain

KEEP = Retention(raw_seconds=48 * 3600, five_minutes_seconds=30 * 86400, hour_seconds=400 * 86400)
CPU, SWAP = INDEX["cpu_percent"], INDEX["swap_percent"]
FORK = multiprocessing.get_context("fork")
HOUR_AGO = NOW - HOUR
"""NOW is on a whole hour."""

NewHost = Callable[[], SimulatedHost]
Row = tuple[int, float, int, int, float, float, float]


def take_in(engine: Engine, inbox: Inbox, now: float) -> None:
    while drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, {}).entries:
        pass


def roll_up(engine: Engine, now: float, keep: Retention = KEEP) -> int:
    """Roll up all that is over at ``now``, which is later than the last time."""
    return duty.roll_up(engine, keep, lambda: now)


def report(host: SimulatedHost, moments: Iterable[float], sent_at: float | None = None) -> None:
    """Push snapshots of values by chance, the same each time; some have no swap_percent."""
    chance = random.Random(host.id)
    for moment in moments:
        swap = {"swap_percent": chance.uniform(0, 100)} if chance.random() < 0.8 else {}
        host.push(host.snapshot(moment, sent_at=sent_at, cpu_percent=chance.uniform(0, 100), **swap))


def is_due(engine: Engine, closed_until: float) -> bool:
    with reading(engine) as connection:
        return bool(rollup_lanes.due(connection, closed_until))


def rolled_up(engine: Engine, table: rollups.Table, metric: int = CPU) -> list[Row]:
    with reading(engine) as connection:
        held = rollups.read_hosts(connection, table, range(1000), 0, 2 * NOW)
    return [_row(held, place, metric) for place in range(len(held))]


def _row(held: Aggregates, place: int, metric: int) -> Row:
    return (
        int(held.host_id[place]),
        float(held.start_at[place]),
        int(held.snapshots[place]),
        int(held.count[place, metric]),
        float(held.average()[place, metric]),
        float(held.least[place, metric]),
        float(held.most[place, metric]),
    )


def computed(engine: Engine, seconds: int, before: float, metric: str = "cpu_percent") -> list[Row]:
    """What roll-ups of the stored snapshots up to then must be."""
    by_bucket: dict[tuple[int, float], list[float | None]] = defaultdict(list)
    with reading(engine) as connection:
        for host_id, taken_at, core in connection.execute(
            select(snapshots.c.host_id, snapshots.c.taken_at, snapshots.c.core)
        ):
            if taken_at < before:
                by_bucket[host_id, taken_at // seconds * seconds].append(unpacked(core)[metric])
    rows = []
    for (host_id, start_at), values in sorted(by_bucket.items()):
        held = [value for value in values if value is not None]
        average = math.fsum(held) / len(held) if held else math.nan
        rows.append(
            (
                host_id,
                start_at,
                len(values),
                len(held),
                average,
                min(held, default=math.nan),
                max(held, default=math.nan),
            )
        )
    return rows


def assert_rolled_up(engine: Engine, closed: float, hours: float) -> None:
    """Both tables hold exactly what was taken before ``closed``, hours what was before ``hours``."""
    for name, metric in (("cpu_percent", CPU), ("swap_percent", SWAP)):
        _assert_same(rolled_up(engine, "rollups_5m", metric), computed(engine, FIVE_MINUTES, closed, name))
        _assert_same(rolled_up(engine, "rollups_1h", metric), computed(engine, HOUR, hours, name))


def _assert_same(found: list[Row], expected: list[Row]) -> None:
    found = sorted(found)
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[4:] == pytest.approx(other[4:], rel=1e-6, nan_ok=True)


def test_closed_buckets_are_rolled_up_and_the_open_one_is_not(engine: Engine, inbox: Inbox, new_host: NewHost) -> None:
    for host in (new_host(), new_host()):
        report(host, (HOUR_AGO + second for second in range(0, 700, 30)))
    take_in(engine, inbox, HOUR_AGO + 700)
    roll_up(engine, HOUR_AGO + 700)
    assert_rolled_up(engine, HOUR_AGO + 600, HOUR_AGO)
    assert len(rolled_up(engine, "rollups_5m")) == 4


def test_an_hour_is_rolled_up_when_it_is_over(engine: Engine, inbox: Inbox, new_host: NewHost) -> None:
    hosts = [new_host(), new_host()]
    for minutes in range(0, 60, 10):
        for host in hosts:
            report(host, (HOUR_AGO + 60 * minutes + second for second in range(0, 600, 60)))
        take_in(engine, inbox, HOUR_AGO + 60 * (minutes + 10))
        roll_up(engine, HOUR_AGO + 60 * (minutes + 10) + 15)
    assert rolled_up(engine, "rollups_1h") == []
    roll_up(engine, NOW + 40)
    assert_rolled_up(engine, NOW, NOW)


def test_what_comes_hours_late_is_added_to_its_buckets(engine: Engine, inbox: Inbox, new_host: NewHost) -> None:
    punctual, late = new_host(), new_host()
    roll_up(engine, HOUR_AGO)
    report(punctual, (HOUR_AGO + second for second in range(0, 3600, 60)))
    report(late, (HOUR_AGO + second for second in range(0, 1000, 60)))
    take_in(engine, inbox, NOW)
    roll_up(engine, NOW + 40)
    roll_up(engine, NOW + 60)
    # The middle of a bucket on, for hours, all at once.
    report(late, (HOUR_AGO + second for second in range(1000, 3 * HOUR, 60)), sent_at=NOW + 2 * HOUR)
    take_in(engine, inbox, NOW + 2 * HOUR)
    roll_up(engine, NOW + 2 * HOUR + 40)
    roll_up(engine, NOW + 2 * HOUR + 60)
    assert_rolled_up(engine, NOW + 2 * HOUR, NOW + 2 * HOUR)


def test_what_comes_when_the_raw_snapshots_of_its_time_are_gone_is_added_all_the_same(
    engine: Engine, inbox: Inbox, new_host: NewHost
) -> None:
    one, other = new_host(), new_host()
    long_ago = NOW - 3 * 86400
    roll_up(engine, long_ago)
    report(one, (long_ago + second for second in range(0, 300, 30)))
    take_in(engine, inbox, long_ago + 300)
    roll_up(engine, long_ago + HOUR + 40)
    retention.make_partitions(engine, long_ago)
    retention.drop_past(engine, KEEP, NOW)
    report(other, (long_ago + second for second in range(0, 300, 30)), sent_at=NOW)
    report(one, (long_ago + second for second in range(270, 600, 30)), sent_at=NOW)
    take_in(engine, inbox, NOW)
    roll_up(engine, NOW + 40)
    found = rolled_up(engine, "rollups_5m")
    assert sorted(row[:3] for row in found) == [
        (one.id, long_ago, 11),
        (one.id, long_ago + 300, 10),
        (other.id, long_ago, 10),
    ]
    assert sorted(row[:3] for row in rolled_up(engine, "rollups_1h")) == [
        (one.id, long_ago, 21),
        (other.id, long_ago, 10),
    ]


def test_what_comes_when_the_five_minutes_of_its_time_are_gone_is_added_to_its_hour_alone(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    keep = Retention(raw_seconds=HOUR, five_minutes_seconds=86400, hour_seconds=400 * 86400)
    roll_up(engine, NOW - 2 * 86400, keep)
    report(host, [NOW - 2 * 86400 + 30, NOW - 2 * 86400 + 90])
    take_in(engine, inbox, NOW)
    roll_up(engine, NOW, keep)
    assert rolled_up(engine, "rollups_5m") == []
    assert [row[:3] for row in rolled_up(engine, "rollups_1h")] == [(host.id, NOW - 2 * 86400, 2)]


def test_a_gap_leaves_its_buckets_out(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    report(host, [HOUR_AGO + 10, HOUR_AGO + 1810])
    take_in(engine, inbox, NOW)
    roll_up(engine, NOW + 40)
    assert sorted(row[1] for row in rolled_up(engine, "rollups_5m")) == [HOUR_AGO, HOUR_AGO + 1800]


def test_a_run_that_stops_in_the_middle_goes_on_where_it_was(
    engine: Engine, inbox: Inbox, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "_BATCHES_AT_ONCE", 1)
    roll_up(engine, HOUR_AGO)
    report(host, (HOUR_AGO + second for second in range(0, 3600, 60)))
    take_in(engine, inbox, NOW)
    steps = 0
    for ring in range(1, 40):
        # Each look at the clock takes four tenths of a second: there is time for two steps.
        moments = iter(NOW + 20 * ring + 0.4 * look for look in range(100))
        steps += duty.roll_up(engine, KEEP, lambda moments=moments: next(moments))
    assert steps > 12
    assert_rolled_up(engine, NOW, NOW)


def test_a_failure_between_two_steps_undoes_the_step_alone(
    engine: Engine, inbox: Inbox, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(host, (HOUR_AGO + second for second in range(0, 900, 60)))
    take_in(engine, inbox, NOW)
    with monkeypatch.context() as broken:
        broken.setattr(rollups, "add", _fail)
        with pytest.raises(_Failed):
            roll_up(engine, NOW + 40)
    roll_up(engine, NOW + 60)
    assert_rolled_up(engine, NOW, NOW)


class _Failed(Exception):
    pass


def _fail(*_: object) -> None:
    raise _Failed


def _roll_up_for_ever(database_url: str) -> None:
    engine = connect(database_url)
    duty._BATCHES_AT_ONCE = 1
    for ring in itertools.count(1):
        now = NOW + 20 * ring
        duty.roll_up(engine, KEEP, lambda now=now: now)


def test_kill_9_in_the_middle_of_a_run_loses_nothing_and_counts_nothing_twice(
    engine: Engine, database_url: str, inbox: Inbox, host: SimulatedHost
) -> None:
    with writing(engine) as connection:
        rollup_lanes.add_missing(connection, HOUR_AGO)
    report(host, (HOUR_AGO + second for second in range(0, 3600, 2)))
    take_in(engine, inbox, NOW)
    for number in range(3):
        process = FORK.Process(target=_roll_up_for_ever, args=(database_url,))
        process.start()
        deadline = time.monotonic() + 10
        while len(rolled_up(engine, "rollups_5m")) <= 3 * number and time.monotonic() < deadline:
            pass
        process.kill()
        process.join()
    assert rolled_up(engine, "rollups_5m")
    # Postgres holds the lane until it notices that nobody is there any more.
    now, deadline = NOW + 100_000, time.monotonic() + 10
    while is_due(engine, NOW + 90_000) and time.monotonic() < deadline:
        roll_up(engine, now)
        now += 20
    assert_rolled_up(engine, NOW, NOW)


def test_two_that_were_rung_at_once_do_it_once(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    report(host, [HOUR_AGO])
    take_in(engine, inbox, HOUR_AGO)
    assert [roll_up(engine, NOW), roll_up(engine, NOW + 1)] == [1, 0]


def test_a_lane_that_another_run_holds_is_left_to_it(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer: a second one waits")
    report(host, [HOUR_AGO])
    take_in(engine, inbox, HOUR_AGO)
    with writing(engine) as connection:
        rollup_lanes.add_missing(connection, HOUR_AGO)
    with writing(engine) as other:
        rollup_lanes.hold(other, 0)
        assert roll_up(engine, NOW) == 0


def test_hosts_of_many_lanes_are_all_rolled_up(
    engine: Engine, inbox: Inbox, new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rollup_backlog, rollup_lanes):
        monkeypatch.setattr(module, "HOSTS_IN_LANE", 2)
    hosts = [new_host() for _ in range(5)]
    roll_up(engine, HOUR_AGO)
    for host in hosts:
        report(host, (HOUR_AGO + second for second in range(0, 600, 60)))
    take_in(engine, inbox, NOW)
    roll_up(engine, NOW + 40)
    assert_rolled_up(engine, NOW, NOW)
    assert len({row[0] for row in rolled_up(engine, "rollups_1h")}) == 5


def test_a_drain_of_many_snapshots_of_a_bucket_fills_many_batches(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    report(host, (HOUR_AGO + number / 10 for number in range(500)))
    take_in(engine, inbox, NOW)
    with reading(engine) as connection:
        batches = connection.exec_driver_sql("SELECT length(batch) FROM rollup_backlog").all()
    assert len(batches) > 10
    assert all(length <= 8000 for (length,) in batches)
    roll_up(engine, NOW)
    assert_rolled_up(engine, NOW, NOW)


def test_rollups_past_their_retention_go_and_the_others_stay(
    engine: Engine, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_DELETE_ROWS", 2)
    for days_ago in (100, 5, 4, 1):
        moment = NOW - 86400 * days_ago
        retention.make_partitions(engine, moment)
        starts = moment + np.arange(3 * 12) * 300.0
        fine = of_snapshots(np.full(len(starts), host.id), starts, np.ones((len(starts), len(NAMES)), np.float32))
        with writing(engine) as connection:
            rollups.add(connection, "rollups_5m", fine)
            rollups.add(connection, "rollups_1h", coarser([fine], HOUR))
    retention.drop_past(engine, Retention(HOUR, five_minutes_seconds=2 * 86400, hour_seconds=60 * 86400), NOW)
    assert [(NOW - row[1]) / 86400 for row in sorted(rolled_up(engine, "rollups_1h"))[::3]] == [5, 4, 1]
    assert sorted(row[1] for row in rolled_up(engine, "rollups_5m")) == (NOW - 86400 + np.arange(3 * 12) * 300).tolist()


def test_late_rows_of_a_day_without_a_partition_go_too(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    report(host, [NOW - 20 * 86400])
    take_in(engine, inbox, NOW)
    roll_up(engine, NOW)
    assert len(rolled_up(engine, "rollups_5m")) == 1
    retention.drop_past(engine, Retention(HOUR, 86400, 86400), NOW)
    with reading(engine) as connection:
        assert connection.execute(select(rollups_5m)).all() == []
    assert rolled_up(engine, "rollups_1h") == []
