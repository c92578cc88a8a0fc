from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, Engine, func, select

from store import incidents, retention
from store.engine import reading, writing
from store.monitoring import set_paused
from store.schema import events, hosts, snapshots
from store.settings import Retention
from store.silence import QuietHost
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.config import decode_config
from worker import duties
from worker.inbox import Inbox
from worker.ingest import drain
from worker.triage import triage

NewHost = Callable[[], SimulatedHost]
KEEP = Retention(raw_seconds=48 * 3600, five_minutes_seconds=30 * 86400, hour_seconds=400 * 86400)


def watch(engine: Engine, inbox: Inbox, start: float, end: float) -> None:
    """Sweep every five seconds, as the listener rings for it."""
    moment = start
    while moment <= end:
        duties.sweep(engine, inbox, moment)
        moment += 5


def take_in(engine: Engine, inbox: Inbox, now: float) -> None:
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, {})


def down(engine: Engine) -> Sequence[Any]:
    with reading(engine) as connection:
        query = select(events.c.host_id, events.c.state).where(events.c.type == "host_down").order_by(events.c.id)
        return [tuple(row) for row in connection.execute(query)]


def test_a_host_that_falls_silent_is_down_after_its_window_and_up_with_its_next_snapshot(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    duties.sweep(engine, inbox, NOW)
    host.report(NOW)
    take_in(engine, inbox, NOW)
    watch(engine, inbox, NOW + 5, NOW + 30)
    assert down(engine) == []
    watch(engine, inbox, NOW + 35, NOW + 35)
    assert down(engine) == [(host.id, "open")]
    watch(engine, inbox, NOW + 40, NOW + 60)
    assert down(engine) == [(host.id, "open")]
    host.report(NOW + 61)
    take_in(engine, inbox, NOW + 61)
    assert down(engine) == [(host.id, "resolved")]


def test_a_resolved_host_down_still_says_how_long_the_host_was_silent(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    watch(engine, inbox, NOW, NOW + 95)
    host.report(NOW + 100)
    take_in(engine, inbox, NOW + 100)
    with reading(engine) as connection:
        [row] = connection.execute(select(events.c.state, events.c.value, events.c.limit_value)).all()
    assert row == ("resolved", NOW + 95 - (NOW - 1000), 90.0)


def test_the_window_of_a_slow_host_is_three_intervals(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    host.interval_seconds = 60.0
    duties.sweep(engine, inbox, NOW)
    host.report(NOW)
    take_in(engine, inbox, NOW)
    watch(engine, inbox, NOW + 5, NOW + 180)
    assert down(engine) == []
    watch(engine, inbox, NOW + 185, NOW + 185)
    assert down(engine) == [(host.id, "open")]


def test_a_host_that_never_spoke_is_down(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    watch(engine, inbox, NOW, NOW + 95)
    assert down(engine) == [(host.id, "open")]


def test_a_paused_host_is_not_down_and_has_a_whole_window_after_its_start(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    with writing(engine) as connection:
        set_paused(connection, host.id, True, NOW - 500)
    watch(engine, inbox, NOW, NOW + 200)
    with writing(engine) as connection:
        set_paused(connection, host.id, False, NOW + 200)
    watch(engine, inbox, NOW + 205, NOW + 285)
    assert down(engine) == []
    watch(engine, inbox, NOW + 290, NOW + 295)
    assert down(engine) == [(host.id, "open")]


def test_a_revoked_host_is_not_down(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    with writing(engine) as connection:
        connection.execute(hosts.update().values(revoked_at=NOW - 100))
    watch(engine, inbox, NOW, NOW + 200)
    assert down(engine) == []


def test_after_an_outage_of_the_server_every_host_has_a_whole_window(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.report(NOW)
    take_in(engine, inbox, NOW)
    watch(engine, inbox, NOW, NOW + 20)
    watch(engine, inbox, NOW + 3600, NOW + 3630)
    assert down(engine) == []
    watch(engine, inbox, NOW + 3635, NOW + 3635)
    assert down(engine) == [(host.id, "open")]


def test_a_server_that_was_suspended_for_an_hour_finds_no_host_down_that_reports_when_it_wakes(
    engine: Engine, inbox: Inbox, new_host: NewHost
) -> None:
    fleet = [new_host() for _ in range(3)]
    watch(engine, inbox, NOW, NOW + 5)
    for woken_at in (NOW, NOW + 3600):
        watch(engine, inbox, woken_at + 6, woken_at + 6)
        for host in fleet:
            host.report(woken_at + 8)
        take_in(engine, inbox, woken_at + 8)
        watch(engine, inbox, woken_at + 11, woken_at + 36)
    assert down(engine) == []


@pytest.mark.parametrize("hours_wrong", [-5, 5])
def test_a_host_whose_clock_is_hours_wrong_is_down_when_it_is_silent_and_not_before(
    engine: Engine, inbox: Inbox, host: SimulatedHost, hours_wrong: int
) -> None:
    duties.sweep(engine, inbox, NOW)
    for moment in (NOW, NOW + 30, NOW + 60):
        host.report(moment + 3600 * hours_wrong)
        take_in(engine, inbox, moment)
        watch(engine, inbox, moment + 5, moment + 25)
    assert down(engine) == []
    watch(engine, inbox, NOW + 90, NOW + 95)
    assert down(engine) == [(host.id, "open")]
    host.report(NOW + 100 + 3600 * hours_wrong)
    take_in(engine, inbox, NOW + 100)
    assert down(engine) == [(host.id, "resolved")]


def test_a_fleet_that_comes_back_at_once_opens_nothing_and_ends_one_incident(
    engine: Engine, inbox: Inbox, new_host: NewHost
) -> None:
    fleet = [new_host() for _ in range(50)]
    duties.sweep(engine, inbox, NOW)
    for host in fleet:
        host.report(NOW, cpu_percent=10.0)
    take_in(engine, inbox, NOW)
    watch(engine, inbox, NOW + 5, NOW + 60)
    triage(engine, inbox, lambda: NOW + 60)
    for host in fleet:
        host.report(NOW + 600, cpu_percent=90.0)
    take_in(engine, inbox, NOW + 600)
    with reading(engine) as connection:
        opened = connection.execute(select(events.c.type, func.count()).group_by(events.c.type)).all()
        [incident] = incidents.page(connection, incidents.IncidentFilter(), limit=10)
    assert opened == [("host_down", 50)]
    assert (incident.hosts, incident.open_events) == (50, 0)


def test_a_host_whose_snapshots_wait_to_be_drained_is_not_silent(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    duties.sweep(engine, inbox, NOW)
    host.report(NOW)
    take_in(engine, inbox, NOW)
    host.report(NOW + 10)
    watch(engine, inbox, NOW + 5, NOW + 100)
    assert down(engine) == []


def test_a_sweep_looks_at_no_host_whose_shard_was_not_drained_since_the_server_is_back(
    engine: Engine, inbox: Inbox, new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, silent = new_host(), new_host()
    assert keys.shard_of(waiting.id) != keys.shard_of(silent.id)
    looked_at: set[int] = set()

    def quiet_hosts(connection: Connection, event_type: str, host_ids: Sequence[int]) -> Iterator[QuietHost]:
        looked_at.update(host_ids)
        return really(connection, event_type, host_ids)

    really = duties.quiet_hosts
    monkeypatch.setattr(duties, "quiet_hosts", quiet_hosts)
    watch(engine, inbox, NOW, NOW + 5)
    waiting.report(NOW)
    watch(engine, inbox, NOW + 3600, NOW + 3690)
    assert looked_at == set()
    watch(engine, inbox, NOW + 3695, NOW + 3700)
    assert looked_at == {silent.id}
    assert down(engine) == [(silent.id, "open")]


def test_two_sweeps_of_one_period_open_one_event(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    watch(engine, inbox, NOW, NOW + 90)
    assert [len(duties.sweep(engine, inbox, NOW + 95).down) for _ in range(2)] == [1, 0]


def test_a_redis_that_lost_the_configs_gets_them_again(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    with writing(engine) as connection:
        set_paused(connection, host.id, True, NOW)
    duties.sweep(engine, inbox, NOW)
    client.flushall()
    duties.sweep(engine, inbox, NOW + 5)
    assert decode_config(client.get(keys.config(host.id))).paused


def test_a_config_is_published_to_the_hosts_that_are_named(
    engine: Engine, inbox: Inbox, new_host: NewHost, client: "redis.Redis"
) -> None:
    one, other = new_host(), new_host()
    duties.publish_configs(engine, inbox, [one.id])
    assert [bool(client.exists(keys.config(host.id))) for host in (one, other)] == [True, False]


def test_snapshots_past_their_retention_go_and_the_others_stay(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    for days_ago in (5, 4, 0):
        moment = NOW - 86400 * days_ago
        retention.make_partitions(engine, moment)
        host.report(moment)
        take_in(engine, inbox, moment)
    duties.retain(engine, KEEP, NOW)
    with reading(engine) as connection:
        assert connection.execute(select(snapshots.c.sequence)).all() == [(3,)]


def test_a_day_that_had_no_partition_gets_one_with_its_rows(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("partitions are Postgres'")
    host.report(NOW)
    take_in(engine, inbox, NOW)
    retention.make_partitions(engine, NOW)
    with reading(engine) as connection:
        counts = [
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("snapshots_default", "snapshots_20270115", "snapshots")
        ]
    assert counts == [0, 1, 1]


def test_retention_deletes_in_many_small_steps(
    engine: Engine, inbox: Inbox, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_DELETE_ROWS", 2)
    for second in range(5):
        host.report(NOW - 86400 * 4 + second)
    take_in(engine, inbox, NOW - 86400 * 4)
    retention.make_partitions(engine, NOW - 86400 * 4)
    retention.drop_past(engine, KEEP, NOW)
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(snapshots)) == 0
