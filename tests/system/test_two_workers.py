"""Two worker services as on two machines, each with settings of its own, on one Redis and one Postgres.

The database notes who wrote what, by a trigger: each worker signs in under a name of its own.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import Engine, text

from store import scripts
from store.engine import reading, writing
from tests.system.all_in_one import wait_until
from tests.system.fleet import running_fleet
from tests.system.oracle import NOTHING_WRONG, judge
from tests.system.processes import Part, running
from wire import keys

HOSTS = 12

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

_NOTE = """
CREATE TABLE written (what text, who text, id bigint, PRIMARY KEY (what, who, id));
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO written VALUES (TG_TABLE_NAME, session_user, NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON shards FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER UPDATE ON scripts FOR EACH ROW WHEN (NEW.state = 'ready') EXECUTE FUNCTION note();
"""
_WRITTEN = text("SELECT id FROM written WHERE what = :what AND who = :who")


class Machines:
    """Machines that each run a worker, and what each of them did to the database."""

    def __init__(self, engine: Engine, redis_url: str, folder: Path, stack: ExitStack) -> None:
        self._engine, self._redis_url, self._folder, self._stack = engine, redis_url, folder, stack
        self._prefix = secrets.token_hex(4)
        with writing(engine) as connection:
            connection.exec_driver_sql(_NOTE)

    def worker(self, name: str, *options: str, **settings: str) -> Part:
        """Start a worker that has been heard to run."""
        role = self._role(name)
        with writing(self._engine) as connection:
            connection.exec_driver_sql(f'CREATE ROLE "{role}" LOGIN SUPERUSER')
        self._stack.callback(self._drop, role)
        url = self._engine.url.set(drivername="postgresql", username=role)
        worker = self._stack.enter_context(
            running(
                self._folder / f"{name}.log",
                "worker",
                *options,
                FLEETMEDIC_REDIS_URL=self._redis_url,
                FLEETMEDIC_DATABASE_URL=url.render_as_string(hide_password=False),
                FLEETMEDIC_DATA_DIR=str(self._folder / name),
                **settings,
            )
        )
        worker.wait_until_said("worker with")
        return worker

    def wrote(self, name: str, what: str) -> set[int]:
        """Return the ids of the rows of a table that a machine has written."""
        with reading(self._engine) as connection:
            return set(connection.execute(_WRITTEN, {"what": what, "who": self._role(name)}).scalars())

    def _role(self, name: str) -> str:
        return f"{name}-{self._prefix}"

    def _drop(self, role: str) -> None:
        with writing(self._engine) as connection:
            # Whoever was at the duties made partitions.
            connection.exec_driver_sql(f'REASSIGN OWNED BY "{role}" TO CURRENT_USER')
            connection.exec_driver_sql(f'DROP ROLE "{role}"')


@pytest.fixture
def machines(engine: Engine, redis_url: str, tmp_path: Path) -> Iterator[Machines]:
    with ExitStack() as stack:
        yield Machines(engine, redis_url, tmp_path, stack)


def test_two_workers_share_all_shards_and_one_takes_over_when_the_other_is_killed(
    machines: Machines, engine: Engine, redis_url: str, tmp_path: Path
) -> None:
    first = machines.worker("first", "--concurrency", "1", FLEETMEDIC_BATCH_ENTRIES="50")
    second = machines.worker("second", "--concurrency", "2", FLEETMEDIC_BATCH_ENTRIES="200")
    with running_fleet(engine, redis_url, tmp_path, HOSTS) as fleet:
        shards = {keys.shard_of(host.id) for host in fleet.hosts}
        wait_until(
            lambda: machines.wrote("first", "shards") == machines.wrote("second", "shards") == shards,
            lambda: first.said() + second.said(),
        )
        second.kill()
        fleet.wait_for_progress()
        assert judge(engine, fleet.settle()) == NOTHING_WRONG


def test_a_worker_for_ingest_and_one_for_scripts_each_do_their_own(
    machines: Machines, engine: Engine, redis_url: str, tmp_path: Path
) -> None:
    machines.worker("ingest", "--queues", "ingest")
    machines.worker("scripts", "--queues", "scripts", "--concurrency", "1")
    with writing(engine) as connection:
        job = scripts.request(
            connection,
            issue_type="disk_full",
            script_type="bash",
            host_id=None,
            event_id=None,
            given={},
            now=time.time(),
        )
    app = Celery(broker=redis_url, set_as_current=False)
    app.send_task(keys.TASK_RENDER, args=[[job]], queue=keys.QUEUE_SCRIPTS, ignore_result=True)
    with running_fleet(engine, redis_url, tmp_path, 2) as fleet, redis.Redis.from_url(redis_url) as client:
        fleet.wait_for_progress()
        assert client.blpop([keys.script_done(job)], timeout=30)
        assert judge(engine, fleet.settle()) == NOTHING_WRONG
    assert machines.wrote("scripts", "scripts") == {job}
    assert not machines.wrote("ingest", "scripts")
    assert machines.wrote("ingest", "shards")
    assert not machines.wrote("scripts", "shards")
