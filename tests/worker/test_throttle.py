"""A host that floods is throttled and named; who shares its shard is served, and who was cut off may catch up."""

from collections.abc import Callable

import pytest
import redis
from sqlalchemy import Engine, select

from store.engine import reading, writing
from store.ledger import Ledger, ledgers, write_ledgers
from store.schema import events, snapshots
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from worker.inbox import Inbox
from worker.ingest import Drained, drain
from worker.throttle import CREDIT_SECONDS, WATCHED_ENTRIES, Credit

NewHost = Callable[[], SimulatedHost]


def run(engine: Engine, inbox: Inbox, now: float = NOW) -> Drained:
    return drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, {})


def stored(engine: Engine, host: SimulatedHost) -> int:
    with reading(engine) as connection:
        return len(connection.execute(select(snapshots.c.sequence).where(snapshots.c.host_id == host.id)).all())


def ledger(engine: Engine, host: SimulatedHost) -> Ledger:
    with reading(engine) as connection:
        return ledgers(connection, [host.id])[host.id]


def spend_all_but(engine: Engine, host: SimulatedHost, seconds: float) -> None:
    with writing(engine) as connection:
        write_ledgers(connection, {host.id: Ledger(spent_until=NOW + CREDIT_SECONDS - seconds)})


def flood(host: SimulatedHost, count: int, now: float = NOW) -> None:
    host.push(*(host.snapshot(now + number / 1000) for number in range(count)))


def seconds_until_spent(per_second: float, spacing: float) -> float:
    """Return after how long a host that pushes so much has no credit left, 10,000 s where it always has some."""
    credit = Credit(0.0, 0.0, -1.0)
    for number in range(int(10_000 * per_second)):
        credit.now = number / per_second
        credit.spend(number * spacing)
        if credit.is_spent:
            return credit.now
    return 10_000.0


def test_whoever_takes_a_thousand_snapshots_a_second_has_no_credit_left_within_seconds() -> None:
    assert seconds_until_spent(1000, spacing=0.001) < 10


@pytest.mark.parametrize("per_second", [1, 1 / 5, 1 / 30])
def test_no_pace_that_a_collector_has_spends_the_credit(per_second: float) -> None:
    assert seconds_until_spent(per_second, spacing=1 / per_second) == 10_000


def test_a_spool_that_was_cut_off_for_hours_is_taken_in_as_fast_as_it_comes() -> None:
    credit = Credit(NOW, 0.0, 0.0)
    for number in range(8 * 3600):
        credit.spend(NOW - 8 * 3600 + number)
    assert not credit.is_spent


def test_who_lies_about_when_snapshots_were_taken_is_throttled_too() -> None:
    assert seconds_until_spent(1000, spacing=30.0) < 60


def test_a_flood_is_cut_and_named_and_its_neighbour_is_stored_in_the_same_drain(
    engine: Engine, inbox: Inbox, host: SimulatedHost, new_host: NewHost, client: "redis.Redis"
) -> None:
    neighbour = new_host()
    while keys.shard_of(neighbour.id) != keys.shard_of(host.id):
        neighbour = new_host()
    spend_all_but(engine, host, 10.0)
    flood(host, 1000)
    neighbour.report(NOW)
    run(engine, inbox)
    assert stored(engine, neighbour) == 1
    admitted = stored(engine, host)
    assert 90 <= admitted <= 110
    assert client.get(keys.ack(host.id)) == b"1:%d" % admitted
    assert ledger(engine, host).throttled == 1000 - admitted
    with reading(engine) as connection:
        named = connection.execute(select(events.c.host_id, events.c.type, events.c.state)).all()
    assert named == [(host.id, "host_flooding", "open")]


def test_credit_comes_back_and_the_event_resolves_when_the_flood_is_over(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    spend_all_but(engine, host, 0.0)
    flood(host, 100)
    run(engine, inbox)
    host.sequence = stored(engine, host)
    flood(host, WATCHED_ENTRIES, NOW + 120)
    run(engine, inbox, NOW + 120)
    assert stored(engine, host) == host.sequence
    with reading(engine) as connection:
        assert connection.execute(select(events.c.state, events.c.resolved_at)).all() == [("resolved", NOW + 120)]


def test_what_was_cut_comes_again_and_is_stored_once(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    spend_all_but(engine, host, 1.0)
    entries = [host.snapshot(NOW + number / 1000) for number in range(100)]
    for drains in range(20):
        host.push(*entries)
        run(engine, inbox, NOW + 2 * drains)
    assert stored(engine, host) == 100


def test_nobody_spends_the_credit_of_another_by_forging_its_entries(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    spend_all_but(engine, host, 1.0)
    key, host.key = host.key, b"forged" + bytes(26)
    flood(host, 500)
    host.key, host.sequence = key, 0
    flood(host, 5)
    run(engine, inbox)
    assert stored(engine, host) == 5


def test_a_flooded_inbox_does_not_stop_the_collectors_of_its_shard(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    shard = keys.shard_of(host.id)
    other = (shard + 1) % keys.SHARDS
    spend_all_but(engine, host, 0.0)
    flood(host, 100)
    run(engine, inbox)
    inbox.ask_to_wait([shard, other])
    assert (client.get(keys.full(shard)), client.get(keys.full(other))) == (None, b"1")
