import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, Engine, select

from store.engine import OUTAGES, reading, writing
from store.positions import lock_shards
from store.schema import dead_letters, events, gaps, host_details, host_state, hosts, shards, snapshots
from store.snapshots import SnapshotRows
from tests.core import unpacked
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.config import decode_config
from wire.entry import GAP, HIGHEST_NUMBER, seal
from wire.metrics import NAMES
from wire.snapshot import (
    SNAPSHOT_VERSION,
    Details,
    Filesystem,
    Gap,
    Process,
    Snapshot,
    decode_details,
    encode_gap,
    encode_snapshot,
)
from worker import ingest
from worker.inbox import Inbox
from worker.ingest import drain

ALL_SHARDS = range(keys.SHARDS)
NewHost = Callable[[], SimulatedHost]


def run(engine: Engine, inbox: Inbox, now: float = NOW, limit: int = 4000) -> ingest.Drained:
    return drain(engine, inbox, ALL_SHARDS, limit, lambda: now, {})


def rows(engine: Engine, *columns: Any, order_by: Any = None) -> Sequence[Any]:
    with reading(engine) as connection:
        return connection.execute(select(*columns).order_by(order_by if order_by is not None else columns[0])).all()


def stored_sequences(engine: Engine) -> list[int]:
    return [row[0] for row in rows(engine, snapshots.c.sequence)]


def test_what_a_host_pushed_is_stored_once_and_acknowledged(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    for second in range(3):
        host.report(NOW - 30 + 10 * second, cpu_percent=second)
    assert run(engine, inbox).stored == 3
    stored = rows(engine, snapshots.c.sequence, snapshots.c.taken_at, snapshots.c.core)
    assert [(sequence, taken_at, unpacked(core)["cpu_percent"]) for sequence, taken_at, core in stored] == [
        (1, NOW - 30, 0.0),
        (2, NOW - 20, 1.0),
        (3, NOW - 10, 2.0),
    ]
    assert client.get(keys.ack(host.id)) == b"1:3"
    assert client.llen(keys.inbox(keys.shard_of(host.id))) == 0


def test_what_comes_twice_is_stored_once_and_acknowledged_again(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    entries = [host.snapshot(NOW - 2), host.snapshot(NOW - 1)]
    host.push(*entries)
    run(engine, inbox)
    client.flushall()
    host.push(*entries)
    assert run(engine, inbox).stored == 0
    assert stored_sequences(engine) == [1, 2]
    assert client.get(keys.ack(host.id)) == b"1:2"


def test_every_metric_is_stored_under_its_name_and_a_missing_one_as_missing(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    given = {name: float(place) for place, name in enumerate(NAMES) if place % 3}
    host.metrics = given
    host.report(NOW)
    run(engine, inbox)
    [(core,)] = rows(engine, snapshots.c.core)
    assert unpacked(core) == dict.fromkeys(NAMES) | given


@pytest.mark.parametrize("value", [400.0, -1.0, math.inf, -math.inf, 3e38])
def test_an_impossible_value_is_left_out_and_is_counted_and_the_snapshot_stays(
    engine: Engine, inbox: Inbox, host: SimulatedHost, value: float
) -> None:
    core = struct.pack("<2f", value, 7.0)
    body = encode_snapshot(Snapshot(SNAPSHOT_VERSION, NOW, 10.0, core))
    host.push(seal(host.key, host.id, 1, 1, NOW, body))
    run(engine, inbox)
    [(stored,)] = rows(engine, snapshots.c.core)
    assert unpacked(stored) == dict.fromkeys(NAMES) | {"cpu_user_percent": 7.0}
    assert rows(engine, host_state.c.impossible_values) == [(1,)]


def test_good_entries_beside_bad_ones_are_stored(
    engine: Engine, inbox: Inbox, new_host: NewHost, client: "redis.Redis"
) -> None:
    good, bad = new_host(), new_host()
    bad.key = b"x" * 32
    good.report(NOW - 1)
    bad.report(NOW - 1)
    good.push(b"\xc1 rubbish")
    good.report(NOW)
    done = run(engine, inbox)
    assert (done.stored, done.refused) == (2, 2)
    assert {row[0] for row in rows(engine, snapshots.c.host_id)} == {good.id}
    assert sorted(row[0].partition(":")[0] for row in rows(engine, dead_letters.c.reason)) == [
        "entry",
        "wrong signature",
    ]
    assert client.get(keys.ack(bad.id)) is None


def test_the_text_of_a_hostile_host_is_stored_without_what_databases_refuse(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    gap = Gap(1, 4, "a\0b" * 500)
    host.push(seal(host.key, host.id, 1, 4, NOW, encode_gap(gap), GAP))
    run(engine, inbox)
    assert rows(engine, gaps.c.first_sequence, gaps.c.last_sequence, gaps.c.reason) == [(1, 4, ("ab" * 500)[:170])]


def test_a_host_an_hour_ahead_is_stored_at_the_servers_time(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    host.report(NOW + 3600)
    run(engine, inbox)
    assert rows(engine, snapshots.c.taken_at, snapshots.c.received_at) == [(NOW, NOW)]


def test_an_event_opens_is_kept_up_to_date_and_resolves(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    full = Details(filesystems=(Filesystem("/data", "/dev/sdb", "ext4", 100.0, 90.0, 90.0),))
    empty = Details(filesystems=(Filesystem("/data", "/dev/sdb", "ext4", 100.0, 10.0, 10.0),))
    for second, (details, percent) in enumerate([(full, 90.0), (full, 90.0), (empty, 10.0), (empty, 10.0)]):
        host.report(NOW + 10 * second, details, disk_percent=percent)
        run(engine, inbox, NOW + 10 * second)
        if second == 1:
            assert rows(engine, events.c.type, events.c.subject, events.c.state, events.c.value) == [
                ("disk_full", "/data", "open", 90.0)
            ]
    assert rows(engine, events.c.state, events.c.resolved_at) == [("resolved", NOW + 30)]


def test_events_that_come_and_go_within_one_drain_are_all_kept(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    for step, cpu in enumerate([10, 90, 10, 10, 90, 10, 10, 90]):
        host.report(NOW + 400 * step, cpu_percent=cpu)
    run(engine, inbox, NOW + 2800)
    assert rows(engine, events.c.opened_at, events.c.type, events.c.state) == [
        (NOW + 400, "cpu_spike", "resolved"),
        (NOW + 1600, "cpu_spike", "resolved"),
        (NOW + 2800, "cpu_spike", "open"),
    ]


def test_an_event_holds_the_processes_of_that_moment(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    burner = Process(4711, NOW, "burner", "root", 99.0, 1.0, 1e6, "burner --hot")
    host.report(NOW, cpu_percent=10)
    host.report(NOW + 10, Details(processes_by_cpu=(burner,)), cpu_percent=95)
    run(engine, inbox, NOW + 10)
    [(evidence,)] = rows(engine, events.c.evidence)
    assert "4711" in str(evidence)


def test_the_latest_details_of_a_small_fleet_are_kept(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    for second in range(3):
        host.report(NOW + second, Details(hostname=f"at {second}"))
    run(engine, inbox, NOW + 3)
    [(taken_at, details)] = rows(engine, host_details.c.taken_at, host_details.c.details)
    assert (taken_at, decode_details(details).hostname) == (NOW + 2, "at 2")


def test_a_clone_opens_an_event_and_is_asked_for_a_new_incarnation(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    first = host.snapshot(NOW, cpu_percent=1)
    host.sequence -= 1
    host.push(first, host.snapshot(NOW, cpu_percent=2))
    run(engine, inbox)
    assert rows(engine, events.c.type, events.c.state) == [("host_cloned", "open")]
    assert rows(engine, hosts.c.minimum_incarnation) == [(2,)]
    assert decode_config(client.get(keys.config(host.id))).minimum_incarnation == 2


def test_shards_that_another_drain_holds_are_left_to_it(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer: a second one waits")
    host.report(NOW)
    with writing(engine) as other:
        lock_shards(other, [keys.shard_of(host.id)])
        assert keys.shard_of(host.id) not in run(engine, inbox).held
    assert run(engine, inbox).stored == 1


def test_a_drain_that_fails_before_its_commit_leaves_everything_as_it_was(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    host.report(NOW)

    def fail(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(ingest.store_positions, "count_drain", fail)
        with pytest.raises(RuntimeError, match="killed"):
            run(engine, inbox)
    assert (stored_sequences(engine), client.get(keys.ack(host.id))) == ([], None)
    assert run(engine, inbox).stored == 1


def test_a_drain_that_dies_between_commit_and_trim_stores_nothing_twice(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    host.report(NOW)

    def fail(*_: object) -> None:
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "trim", fail)
        with pytest.raises(redis.ConnectionError):
            run(engine, inbox)
    run(engine, inbox)
    assert (stored_sequences(engine), client.get(keys.ack(host.id))) == ([1], b"1:1")


def test_a_drain_notes_when_an_inbox_was_empty(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    host.report(NOW)
    host.report(NOW)
    shard = keys.shard_of(host.id)
    found = []
    for limit in (1, 1):
        run(engine, inbox, NOW + len(found) + 1, limit)
        found.append(dict(rows(engine, shards.c.id, shards.c.caught_up_at))[shard])
    assert found == [0.0, NOW + 2]


def test_the_columns_of_a_bulk_insert_are_those_of_the_table() -> None:
    fields = [column.name for column in snapshots.columns]
    assert fields == [*SnapshotRows.__dataclass_fields__]


def test_an_entry_that_no_drain_survives_is_refused_and_those_around_it_are_stored(
    engine: Engine, inbox: Inbox, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(9):
        host.report(NOW + second, cpu_percent=66.0 if second == 4 else 1.0)
    insert = ingest.insert_snapshots

    def choke(connection: Connection, rows: SnapshotRows) -> None:
        if 66.0 in rows.core:
            raise ValueError("a value that nobody thought of")
        insert(connection, rows)

    monkeypatch.setattr(ingest, "insert_snapshots", choke)
    while ingest.drain_around_poison(engine, inbox, keys.shard_of(host.id), 8, lambda: NOW + 9, {}).entries:
        pass
    assert stored_sequences(engine) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert rows(engine, dead_letters.c.sequence, dead_letters.c.reason) == [(5, "not taken in: ValueError")]


def test_tables_of_another_version_refuse_no_entry(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    def rename(column: str, name: str) -> None:
        with writing(engine) as connection:
            connection.exec_driver_sql(f"ALTER TABLE snapshots RENAME COLUMN {column} TO {name}")

    host.report(NOW)
    rename("core", "of_another_version")
    try:
        with pytest.raises(OUTAGES):
            ingest.drain_around_poison(engine, inbox, keys.shard_of(host.id), 8, lambda: NOW, {})
    finally:
        rename("of_another_version", "core")
    run(engine, inbox)
    assert stored_sequences(engine) == [1]
    assert rows(engine, dead_letters.c.reason) == []


def clash(host: SimulatedHost) -> None:
    """Push two bodies under one position."""
    for cpu_percent in (1.0, 2.0):
        host.sequence = 0
        host.report(NOW, cpu_percent=cpu_percent)


def test_a_clash_that_no_drain_survives_is_passed_over(
    engine: Engine, inbox: Inbox, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(_: Connection, minimum_by_host: dict[int, int]) -> None:
        if minimum_by_host:
            raise ValueError("a number that nobody thought of")

    monkeypatch.setattr(ingest.records, "require_incarnation", choke)
    clash(host)
    host.report(NOW)
    while ingest.drain_around_poison(engine, inbox, keys.shard_of(host.id), 8, lambda: NOW, {}).entries:
        pass
    assert stored_sequences(engine) == [1, 2]


def test_a_clash_under_the_highest_incarnation_stops_no_inbox(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.incarnation = HIGHEST_NUMBER
    clash(host)
    host.report(NOW)
    run(engine, inbox)
    assert stored_sequences(engine) == [1, 2]
    assert rows(engine, hosts.c.minimum_incarnation) == [(HIGHEST_NUMBER,)]


def test_damaged_state_of_a_host_does_not_stop_it(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    with writing(engine) as connection:
        connection.execute(host_state.update().values(tracks=b"\xc1"))
    host.report(NOW)
    assert run(engine, inbox).stored == 1
