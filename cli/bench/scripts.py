"""``bench scripts``: how long it takes from asking for a script to having it, and that none is lost.

Everything is real: Redis, the database, ``fleetmedic worker`` and ``fleetmedic api`` in processes of their own.
Requests come at a steady pace whether or not the ones before are answered, and each is timed from when it was due, so
that a server that stalls cannot hide it by being asked less.

First the worker is left alone. Then the same once more, while its processes are killed (SIGKILL) one after another, and
in the middle all of them with it; what a supervisor would do, starting it again, the bench does. Then every job must
have become a script.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from cli.bench.client import Client
from cli.bench.pace import at_pace, percentile
from cli.bench.parts import Worker, running_api, running_worker
from cli.bench.stage import Stage, own_stage
from store.benchmark import enroll_simulated, tally_scripts, version
from store.engine import reading, writing
from store.remedies import catalogue

Say = Callable[[str], None]

_CLIENTS = 64
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_KILL_SECONDS = 3.0
_WARM_UP_SECONDS = 2.0
_ASKED = {"issue_type": "disk_full", "host": "bench-000001", "parameters": {"mount": "/var"}}


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    """``sqlite``, ``postgres`` or the URL of a Postgres server."""
    seconds: int
    """Of each of the two runs."""
    rate: int
    """Jobs a second."""


@dataclass
class Answers:
    """What came back in one run."""

    ready_ms: list[float] = field(default_factory=list)
    """From when a request was due to the script, of those that came with the answer."""
    later: int = 0
    """Answered with the id of a script that is to come."""
    failed: list[str] = field(default_factory=list)
    """Answered with anything else, or not at all."""

    @property
    def count(self) -> int:
        """All requests of the run."""
        return len(self.ready_ms) + self.later + len(self.failed)


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    say("starting Redis and the database")
    with own_stage(plan.database, environment) as stage, ExitStack() as stack:
        return _run(plan, stage, say, stack)


def _run(plan: Plan, stage: Stage, say: Say, stack: ExitStack) -> dict[str, Any]:
    engine = stage.engine
    with writing(engine) as connection:
        enroll_simulated(connection, 1, time.time())
    say("starting the API and the worker")
    workers = stack.enter_context(_Workers(stage.settings, stage.folder / "worker.log"))
    port = stack.enter_context(running_api(stage.settings, stage.folder / "api.log")).port
    ask = Asker(port, stage.token)
    _wait_for_remedies(engine, workers)
    say("warming up")
    warm_up = _ask_for_scripts(ask, plan.rate, _WARM_UP_SECONDS)
    say(f"asking for {plan.rate} scripts a second, the worker left alone")
    steady = _ask_for_scripts(ask, plan.rate, plan.seconds)
    say("the same, the worker killed meanwhile")
    with workers.being_killed(plan.seconds / 2):
        killed = _ask_for_scripts(ask, plan.rate, plan.seconds)
    say("waiting for what is still to come")
    _wait_until_done(engine, workers)
    with reading(engine) as connection:
        tally = tally_scripts(connection)
        database_version = version(connection)
    asked = warm_up.count + steady.count + killed.count
    failed = warm_up.failed + steady.failed + killed.failed
    return {
        "jobs": steady.count,
        "jobs_per_second": round(steady.count / plan.seconds, 1),
        "p50_ms": percentile(steady.ready_ms, 50),
        "p99_ms": percentile(steady.ready_ms, 99),
        "lost": max(asked, tally.requested) - tally.ready,
        "worker_killed": {
            "jobs": killed.count,
            "p50_ms": percentile(killed.ready_ms, 50),
            "p99_ms": percentile(killed.ready_ms, 99),
            "answered_before_ready": killed.later,
            "processes_killed": workers.kills,
            "workers_killed": workers.restarts,
        },
        "scripts_asked_for": asked,
        "scripts_ready": tally.ready,
        "failures": sorted(set(failed))[:5],
        "database_version": database_version,
    }


class Asker:
    """Asks the API for a script."""

    def __init__(self, port: int, token: str) -> None:
        self._client = Client(port, token)
        self._body = json.dumps(_ASKED)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the document of the answer."""
        status, answer = self._client.ask("POST", "/api/agent/generate-script", self._body)
        return status, json.loads(answer)


def _ask_for_scripts(asker: Asker, rate: int, seconds: float) -> Answers:
    """Ask at this rate for so long, and wait for all answers."""
    answers = Answers()
    lock = threading.Lock()

    def ask_at(due: float) -> None:
        try:
            status, document = asker.ask()
            fault = "" if status in (200, 202) else f"{status}: {document.get('detail')}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            status, fault = 0, f"{type(error).__name__}: {error}"
        milliseconds = 1000 * (time.monotonic() - due)
        with lock:
            if fault:
                answers.failed.append(fault)
            elif status == 200:
                answers.ready_ms.append(milliseconds)
            else:
                answers.later += 1

    at_pace(ask_at, rate, seconds, _CLIENTS)
    return answers


class _Workers:
    """The worker, and who kills it and starts it again."""

    def __init__(self, settings: Mapping[str, str], log: Path) -> None:
        self._settings = settings
        self._log = log
        self._stack = ExitStack()
        self.kills = 0
        self.restarts = 0

    def __enter__(self) -> "_Workers":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        self.worker: Worker = self._stack.enter_context(running_worker(self._settings, None, self._log))

    def kill_child(self) -> None:
        with suppress(psutil.Error, IndexError):
            psutil.Process(self.worker.process.pid).children()[self.kills % 2 - 1].kill()
            self.kills += 1

    def kill_all(self) -> None:
        with suppress(psutil.Error):
            worker = psutil.Process(self.worker.process.pid)
            for process in (worker, *worker.children()):
                process.kill()
        self.worker.process.wait()
        self.restarts += 1
        self.start()

    @contextmanager
    def being_killed(self, all_after_seconds: float) -> Iterator[None]:
        """Kill a child every so often, and once the whole worker, until the block ends."""
        over = threading.Event()

        def kill() -> None:
            began = time.monotonic()
            while not over.wait(_KILL_SECONDS):
                if not self.restarts and time.monotonic() - began > all_after_seconds:
                    self.kill_all()
                else:
                    self.kill_child()

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _wait_for_remedies(engine: Engine, workers: _Workers) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with reading(engine) as connection:
            if catalogue(connection):
                return
        workers.worker.check_running()
        if time.monotonic() > deadline:
            raise workers.worker.failed(f"the worker is not at work after {_PATIENCE_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)


def _wait_until_done(engine: Engine, workers: _Workers) -> None:
    """Wait until no job is queued, for as long as it may take to be rung for again; what is left then is lost."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with reading(engine) as connection:
            if not tally_scripts(connection).queued:
                return
        workers.worker.check_running()
        time.sleep(_LOOK_SECONDS)
