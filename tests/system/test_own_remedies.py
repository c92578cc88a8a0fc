"""Remedies that users add to real workers, each with a folder of its own: they hold at once, in all processes."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import Engine

from store import own_remedies, remedies, scripts
from store.engine import reading, writing
from store.scripts import Script
from tests.system.all_in_one import wait_until
from tests.system.processes import Part, running
from tests.worker.remedies.own import add_example
from wire import keys


@pytest.fixture
def workers(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[list[Part]]:
    """Two workers of two processes each, with the data folders ``ours`` and ``theirs``."""
    with ExitStack() as stack:
        parts = [
            stack.enter_context(
                running(
                    tmp_path / f"{name}.log",
                    *("worker", "--concurrency", "2"),
                    FLEETMEDIC_REDIS_URL=redis_url,
                    FLEETMEDIC_DATABASE_URL=database_url,
                    FLEETMEDIC_DATA_DIR=str(tmp_path / name),
                )
            )
            for name in ("ours", "theirs")
        ]
        for part in parts:
            part.wait_until_said("worker with")
        yield parts


def sources(engine: Engine) -> dict[str, str]:
    """Return the source of each remedy that users added, with its version."""
    with reading(engine) as connection:
        return {one.source: one.version for one in remedies.catalogue(connection) if one.source != remedies.BUILT_IN}


def faults(engine: Engine) -> dict[str, str]:
    with reading(engine) as connection:
        return {one.folder: one.fault for one in own_remedies.faults(connection)}


def made(engine: Engine, redis_url: str, issue_type: str, count: int) -> list[Script]:
    """Have so many scripts made, each asked for by itself, so that several processes make them."""
    with writing(engine) as connection:
        ids = [
            scripts.request(
                connection,
                issue_type=issue_type,
                script_type="bash",
                host_id=None,
                event_id=None,
                given={"older_than_days": 1 + number},
                now=time.time(),
            )
            for number in range(count)
        ]
    app = Celery(broker=redis_url, set_as_current=False)
    for script_id in ids:
        app.send_task(keys.TASK_RENDER, args=[[script_id]], queue=keys.QUEUE_SCRIPTS, ignore_result=True)

    def found() -> list[Script]:
        with reading(engine) as connection:
            return [script for script in (scripts.find(connection, one) for one in ids) if script is not None]

    wait_until(lambda: all(script.state in ("ready", "failed") for script in found()), lambda: str(found()))
    return found()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_remedy_is_added_used_broken_and_mended_without_a_restart(
    engine: Engine, redis_url: str, workers: list[Part], tmp_path: Path
) -> None:
    before = [{child.pid for child in part.children()} for part in workers]
    theirs = add_example(tmp_path / "theirs" / "remedies", "their_exports")
    ours = add_example(tmp_path / "ours" / "remedies")
    wait_until(lambda: sources(engine) == {str(ours): "1.0.0", str(theirs): "1.0.0"}, lambda: str(faults(engine)))
    assert {script.remedy_version for script in made(engine, redis_url, "old_exports", 12)} == {"1.0.0"}

    (ours / "fix.sh").write_text((ours / "fix.sh").read_text().replace('"$folder"', "$folder"))
    wait_until(lambda: str(ours) in faults(engine))
    assert "Double quote to prevent globbing" in faults(engine)[str(ours)]
    assert sources(engine) == {str(theirs): "1.0.0"}
    assert f"own remedy {ours} is left out: fix.sh line " in workers[0].said()
    (refused,) = made(engine, redis_url, "old_exports", 1)
    assert (refused.state, refused.error) == ("failed", "this worker has no remedy old_exports")

    add_example(ours.parent, changes={"remedy.toml": ("1.0.0", "1.0.1")})
    wait_until(lambda: sources(engine) == {str(ours): "1.0.1", str(theirs): "1.0.0"}, lambda: str(faults(engine)))
    assert {script.remedy_version for script in made(engine, redis_url, "old_exports", 12)} == {"1.0.1"}
    assert all(pids <= {child.pid for child in part.children()} for pids, part in zip(before, workers, strict=True))
    assert all("Traceback" not in part.said() for part in workers)
