"""Another number of shards: what a worker of the number before does, and what becomes of what it left unread.

A step of the database takes the rows of the old shards away and adds new ones under ids that were never used
(docs/decisions/0012-number-of-shards.md). These rows are what a drain must hold.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, func, insert, select

from store.engine import reading, writing
from store.schema import shards, snapshots
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from worker.inbox import Inbox
from worker.ingest import Drained, drain

OLD = range(keys.SHARDS)
NEW = range(keys.SHARDS, 3 * keys.SHARDS)


def run(engine: Engine, inbox: Inbox, of: range) -> Drained:
    return drain(engine, inbox, of, 4000, lambda: NOW, {})


def change_number(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(shards.delete())
        connection.execute(insert(shards), [{"id": shard, "version": 0} for shard in NEW])


@contextmanager
def new_code() -> Iterator[None]:
    """Let code within the block be that of the new number."""
    old = keys.shard_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "shard_of", lambda host_id: NEW.start + (old(host_id) + 64 * (host_id % 2)) % len(NEW))
        yield


def stored(engine: Engine) -> tuple[int, int]:
    """Return how many snapshots are stored, and how many different ones."""
    with reading(engine) as connection:
        total, distinct = connection.execute(
            select(func.count(), func.count(snapshots.c.sequence.distinct())).select_from(snapshots)
        ).one()
    return total, distinct


def test_a_worker_of_the_number_before_takes_nothing_any_more_and_leaves_it_where_it_is(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.report(NOW - 10)
    change_number(engine)
    assert run(engine, inbox, OLD) == Drained()
    assert host.client.llen(keys.inbox(keys.shard_of(host.id))) == 1
    assert stored(engine) == (0, 0)


def test_what_was_left_unread_is_stored_once_when_its_collector_sends_it_to_the_new_shard(
    engine: Engine, inbox: Inbox, new_host: Callable[[], SimulatedHost]
) -> None:
    host = new_host()
    host.report(NOW - 30)
    run(engine, inbox, OLD)
    unread = [host.snapshot(NOW - 20), host.snapshot(NOW - 10)]
    host.push(*unread)
    change_number(engine)
    with new_code():
        host.push(*unread, host.snapshot(NOW))
        assert run(engine, inbox, NEW).stored == 3
    assert run(engine, inbox, OLD) == Drained()
    assert stored(engine) == (4, 4)


def test_the_database_has_a_row_for_each_shard(engine: Engine) -> None:
    with reading(engine) as connection:
        assert sorted(connection.execute(select(shards.c.id)).scalars()) == list(OLD)
