"""A script job whose worker dies with it in hand: another worker takes it up again."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import Engine

from store import scripts
from store.engine import reading, writing
from tests.system.all_in_one import wait_until
from tests.system.processes import Part, running
from wire import keys


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def running_worker(database_url: str, redis_url: str, folder: Path) -> AbstractContextManager[Part]:
    return running(
        folder / "worker.log", "worker", FLEETMEDIC_REDIS_URL=redis_url, FLEETMEDIC_DATABASE_URL=database_url
    )


@contextmanager
def nobody_takes_a_job(engine: Engine) -> Iterator[None]:
    """Let whoever takes a job wait at the database until the block ends."""
    with writing(engine) as connection:
        # A writer on SQLite keeps out the others by itself.
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE scripts IN ACCESS EXCLUSIVE MODE")
        yield


def queue_job(engine: Engine, overdue_in_seconds: float) -> int:
    with writing(engine) as connection:
        return scripts.request(
            connection,
            issue_type="disk_full",
            script_type="bash",
            host_id=None,
            event_id=None,
            given={},
            now=time.time() - 10 + overdue_in_seconds,
        )


def state(engine: Engine, script_id: int) -> str:
    with reading(engine) as connection:
        script = scripts.find(connection, script_id)
    assert script is not None
    return script.state


def test_a_job_that_a_killed_worker_left_is_taken_up_again(
    engine: Engine, database_url: str, redis_url: str, client: "redis.Redis", tmp_path: Path
) -> None:
    with running_worker(database_url, redis_url, tmp_path) as worker:
        worker.wait_until_said("worker with")
        worker.freeze()
        script_id = queue_job(engine, overdue_in_seconds=5)
        app = Celery(broker=redis_url, set_as_current=False)
        app.send_task(keys.TASK_RENDER, args=[[script_id]], queue=keys.QUEUE_SCRIPTS, ignore_result=True)
        with nobody_takes_a_job(engine):
            worker.thaw()
            wait_until(lambda: not client.llen(keys.QUEUE_SCRIPTS) and client.hlen("unacked"), worker.said)
            worker.kill()
    assert state(engine, script_id) == "queued"
    with running_worker(database_url, redis_url, tmp_path) as worker:
        wait_until(lambda: state(engine, script_id) == "ready", worker.said)
        assert client.blpop([keys.script_done(script_id)], timeout=5)


def test_a_job_of_which_redis_lost_the_message_is_rung_for(
    engine: Engine, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    script_id = queue_job(engine, overdue_in_seconds=0)
    with running_worker(database_url, redis_url, tmp_path) as worker:
        wait_until(lambda: state(engine, script_id) == "ready", worker.said)
