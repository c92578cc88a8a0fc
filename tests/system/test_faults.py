"""kill -9, a Redis that forgets and a Redis that is away, while snapshots arrive: each is stored exactly once.

The producers are the collector's own spool and pusher; the oracle reads the store with its own SQL.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis
from pysqlite3 import dbapi2
from sqlalchemy import Engine, text

from cli.ports import free_port
from cli.redis_server import RedisServer, start_redis
from store.engine import connect, writing
from tests.system.all_in_one import wait_until
from tests.system.fleet import Fleet, running_fleet
from tests.system.oracle import NOTHING_WRONG, judge
from tests.system.processes import Part, running
from wire import keys

HOSTS = 8
KILLS = 20
PARENT_TOO = (6, 13)
"""The kills that take the whole worker; a new one is then started, as `up` and service managers do."""
FLUSHES = 10
BACKLOG_ENTRIES = 60
LOOKS = 5
_WRITERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fleetmedic' "
    "AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL"
)


@contextmanager
def running_worker(engine: Engine, redis_url: str, folder: Path) -> Iterator[Part]:
    """Run a worker whose batches are small, so that it is mostly in the middle of one."""
    with running(
        folder / "worker.log",
        "worker",
        FLEETMEDIC_REDIS_URL=redis_url,
        FLEETMEDIC_DATABASE_URL=engine.url.set(drivername=engine.dialect.name).render_as_string(hide_password=False),
        FLEETMEDIC_BATCH_ENTRIES="20",
    ) as worker:
        yield worker


@pytest.fixture
def worker(engine: Engine, redis_url: str, tmp_path: Path) -> Iterator[Part]:
    with running_worker(engine, redis_url, tmp_path) as worker:
        yield worker


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def fleet(engine: Engine, redis_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with running_fleet(engine, redis_url, tmp_path, HOSTS) as fleet:
        yield fleet


def is_written_to(engine: Engine) -> bool:
    """Say whether somebody else has a transaction open that writes."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            return bool(connection.execute(_WRITERS).scalar_one())
    connection = dbapi2.connect(engine.url.database, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except dbapi2.OperationalError:
        return True
    finally:
        connection.close()
    return False


def catch_in_a_drain(worker: Part, engine: Engine, client: "redis.Redis", *, in_transaction: bool) -> None:
    """Freeze the worker while it drains: within its transaction, or in what comes before and after that."""

    def is_caught() -> bool:
        worker.freeze()
        wait_until(lambda: waiting(client) > BACKLOG_ENTRIES)
        for _ in range(LOOKS):
            worker.thaw()
            # Any moment will do: no condition tells the stages of a drain apart from outside.
            time.sleep(random.uniform(0, 0.02))
            worker.freeze()
            if waiting(client) and worker.children() and is_written_to(engine) == in_transaction:
                return True
        worker.thaw()
        return False

    wait_until(is_caught, worker.said)


def waiting(client: "redis.Redis") -> int:
    """Return how many entries wait in the inboxes."""
    pipeline = client.pipeline(transaction=False)
    for shard in range(keys.SHARDS):
        pipeline.llen(keys.inbox(shard))
    return sum(pipeline.execute())


def test_twenty_kills_in_the_middle_of_a_drain_lose_and_double_nothing(
    worker: Part, fleet: Fleet, engine: Engine, client: "redis.Redis"
) -> None:
    fleet.wait_for_progress()
    for number in range(KILLS):
        catch_in_a_drain(worker, engine, client, in_transaction=number % 2 == 0)
        if number in PARENT_TOO:
            worker.kill()
            worker.start()
        else:
            # Frozen until they are dead: Celery sees some deaths too early, and looks again only after 5 seconds.
            worker.kill_children()
            worker.thaw()
        fleet.wait_for_progress()
    assert judge(engine, fleet.settle()) == NOTHING_WRONG


def test_ten_flushes_of_redis_lose_and_double_nothing(
    worker: Part, fleet: Fleet, engine: Engine, client: "redis.Redis"
) -> None:
    fleet.wait_for_progress()
    for _ in range(FLUSHES):
        client.flushall()
        fleet.wait_for_progress()
    assert judge(engine, fleet.settle()) == NOTHING_WRONG


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_redis_that_is_killed_and_comes_back_loses_and_doubles_nothing(engine: Engine, tmp_path: Path) -> None:
    folder, password, port = tmp_path / "redis", "password", free_port()
    server = start_redis(folder, password, "127.0.0.1", port)
    try:
        with (
            running_worker(engine, server.url, tmp_path) as worker,
            running_fleet(engine, server.url, tmp_path, HOSTS) as fleet,
        ):
            fleet.wait_for_progress()
            kill(server)
            fleet.wait_for_more(500)
            server = start_redis(folder, password, "127.0.0.1", port)
            fleet.wait_for_progress()
            assert judge(engine, fleet.settle()) == NOTHING_WRONG
            assert worker.process.poll() is None
    finally:
        kill(server)


def kill(server: RedisServer) -> None:
    server.process.kill()
    server.process.wait()


CHANGES = {
    "lost": "DELETE FROM snapshots WHERE sequence = 2",
    "doubled": "INSERT INTO snapshots SELECT * FROM snapshots WHERE sequence = 2",
    "invented": "UPDATE snapshots SET sequence = 0 WHERE sequence = 2",
    "altered": "UPDATE snapshots SET core = CAST(substr(core, 5) || substr(core, 1, 4) AS BLOB) WHERE sequence = 2",
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_oracle_sees_every_kind_of_fault(worker: Part, fleet: Fleet, engine: Engine, tmp_path: Path) -> None:
    fleet.wait_for_progress()
    ledger = fleet.settle()
    found = {}
    for fault, change in CHANGES.items():
        with closing(dbapi2.connect(engine.url.database, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", [str(tmp_path / fault)])
        changed = connect(f"sqlite:///{tmp_path / fault}")
        with writing(changed) as connection:
            connection.exec_driver_sql(change)
        found[fault] = len(getattr(judge(changed, ledger), fault))
        changed.dispose()
    assert found == dict.fromkeys(CHANGES, HOSTS)
