"""Script jobs of workers that die, and that end their workers: what can be made is made, the rest is given up."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import Engine

from store import scripts
from store.engine import reading, writing
from store.scripts import Script
from tests.system.all_in_one import FLEETMEDIC, wait_until
from tests.system.processes import Part, running
from tests.system.sabotaged_remedy import DEADLY, ENDLESS
from wire import keys


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def running_worker(
    database_url: str, redis_url: str, folder: Path, program: Sequence[str] = FLEETMEDIC
) -> AbstractContextManager[Part]:
    settings = {
        "FLEETMEDIC_REDIS_URL": redis_url,
        "FLEETMEDIC_DATABASE_URL": database_url,
        "FLEETMEDIC_SCRIPT_SECONDS": "1",
    }
    return running(folder / "worker.log", "worker", program=program, **settings)


@contextmanager
def nobody_takes_a_job(engine: Engine) -> Iterator[None]:
    """Let whoever takes a job wait at the database until the block ends."""
    with writing(engine) as connection:
        # A writer on SQLite keeps out the others by itself.
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE scripts IN ACCESS EXCLUSIVE MODE")
        yield


def queue_job(engine: Engine, overdue_in_seconds: float, mount: str = "/") -> int:
    with writing(engine) as connection:
        return scripts.request(
            connection,
            issue_type="disk_full",
            script_type="bash",
            host_id=None,
            event_id=None,
            given={"mount": mount},
            now=time.time() - 10 + overdue_in_seconds,
        )


def ring(redis_url: str, *script_ids: int) -> None:
    """Tell the workers of these jobs, in one message."""
    app = Celery(broker=redis_url, set_as_current=False)
    app.send_task(keys.TASK_RENDER, args=[script_ids], queue=keys.QUEUE_SCRIPTS, ignore_result=True)


def find(engine: Engine, script_id: int) -> Script:
    with reading(engine) as connection:
        script = scripts.find(connection, script_id)
    assert script is not None
    return script


def state(engine: Engine, script_id: int) -> str:
    return find(engine, script_id).state


def test_a_job_that_a_killed_worker_left_is_taken_up_again(
    engine: Engine, database_url: str, redis_url: str, client: "redis.Redis", tmp_path: Path
) -> None:
    with running_worker(database_url, redis_url, tmp_path) as worker:
        worker.wait_until_said("worker with")
        worker.freeze()
        script_id = queue_job(engine, overdue_in_seconds=5)
        ring(redis_url, script_id)
        with nobody_takes_a_job(engine):
            worker.thaw()
            wait_until(lambda: not client.llen(keys.QUEUE_SCRIPTS) and client.hlen("unacked"), worker.said)
            worker.kill()
    assert state(engine, script_id) == "queued"
    with running_worker(database_url, redis_url, tmp_path) as worker:
        wait_until(lambda: state(engine, script_id) == "ready", worker.said)
        assert client.blpop([keys.script_done(script_id)], timeout=5)


def test_a_job_of_which_redis_lost_the_message_is_rung_for_and_live_pages_hear_how_far_it_is(
    engine: Engine, database_url: str, redis_url: str, client: "redis.Redis", tmp_path: Path
) -> None:
    script_id = queue_job(engine, overdue_in_seconds=0)
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(keys.CHANGES)
        with running_worker(database_url, redis_url, tmp_path) as worker:
            wait_until(lambda: state(engine, script_id) == "ready", worker.said)
            messages = [listening.get_message(timeout=1) for _ in range(3)]
    heard = [json.loads(message["data"]) for message in messages if message]
    assert [change["scripts"] for change in heard if "scripts" in change] == [
        {str(script_id): "running"},
        {str(script_id): "ready"},
    ]


def test_a_job_that_takes_for_ever_or_ends_its_worker_is_given_up_and_others_are_made(
    engine: Engine, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    endless, deadly, whole = (queue_job(engine, 1000, mount) for mount in (ENDLESS, DEADLY, "/srv"))
    with writing(engine) as connection:
        connection.exec_driver_sql(f"UPDATE scripts SET attempts = 4 WHERE id = {endless:d}")
    sabotaged = [sys.executable, "-m", "tests.system.sabotaged_remedy"]
    with running_worker(database_url, redis_url, tmp_path, sabotaged) as worker:
        ring(redis_url, deadly, whole)
        wait_until(lambda: find(engine, whole).is_done, worker.said)
        ring(redis_url, endless)
        wait_until(lambda: find(engine, endless).is_done, worker.said)
    assert (state(engine, endless), find(engine, endless).error) == ("failed", "it takes longer than a script may")
    assert (state(engine, deadly), find(engine, deadly).attempts) == ("failed", 6)
    assert state(engine, whole) == "ready"
