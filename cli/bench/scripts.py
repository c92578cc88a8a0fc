"""``bench scripts``: how long it takes from asking for a script to having it, and that none is lost.

Everything is real: Redis, the database, ``fleetmedic worker`` and ``fleetmedic api`` in processes of their own.
Requests come at a steady pace whether or not the ones before are answered, and each is timed from when it was due, so
that a server that stalls cannot hide it by being asked less.

First the workers are left alone. Then the same once more, while a process of one is killed (SIGKILL) every three
seconds and, so many times as was asked for, a whole worker with all of its processes; what a supervisor would do,
starting it again, the bench does. Then every job must have become a script.

Each request is for a script of its own: the same one, asked for again before it is made, would be one job.
"""

import heapq
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from cli.bench.client import Client
from cli.bench.pace import at_pace, percentile
from cli.bench.parts import Worker, running_api, running_worker
from cli.bench.stage import Stage, own_stage
from store.benchmark import enroll_simulated, ready_scripts, tally_scripts, version
from store.engine import reading, writing
from store.remedies import catalogue

Say = Callable[[str], None]

_CLIENTS = 64
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_KILL_SECONDS = 3.0
_WARM_UP_SECONDS = 2.0
_ASKED = {"issue_type": "disk_full", "host": "bench-000001"}


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    """``sqlite``, ``postgres`` or the URL of a Postgres server."""
    seconds: int
    """Of each of the two runs."""
    rate: int
    """Jobs a second."""
    workers: int
    """How many run."""
    kills: int
    """How often a whole worker is killed in the second run."""


@dataclass
class Answers:
    """What came back in one run."""

    ready_ms: list[float] = field(default_factory=list)
    """From when a request was due until the script was there, with the answer or later."""
    later: int = 0
    """Answered with the id of a script that is to come."""
    failed: list[str] = field(default_factory=list)
    """Answered with anything else, or not at all."""
    count: int = 0
    """All requests of the run."""


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    say("starting Redis and the database")
    with own_stage(plan.database, environment) as stage, ExitStack() as stack:
        return _run(plan, stage, say, stack)


def _run(plan: Plan, stage: Stage, say: Say, stack: ExitStack) -> dict[str, Any]:
    engine = stage.engine
    with writing(engine) as connection:
        enroll_simulated(connection, 1, time.time())
    say("starting the API and the workers")
    workers = stack.enter_context(_Workers(stage.settings, stage.folder, plan.workers))
    port = stack.enter_context(running_api(stage.settings, stage.folder / "api.log")).port
    ask = Asker(port, stage.token)
    _wait_for_remedies(engine, workers)
    say("warming up")
    warm_up = _ask_for_scripts(ask, engine, plan.rate, _WARM_UP_SECONDS)
    say(f"asking for {plan.rate} scripts a second, the workers left alone")
    steady = _ask_for_scripts(ask, engine, plan.rate, plan.seconds)
    say("the same, workers killed meanwhile")
    with workers.being_killed([plan.seconds * (kill + 1) / (plan.kills + 1) for kill in range(plan.kills)]):
        killed = _ask_for_scripts(ask, engine, plan.rate, plan.seconds)
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
            "max_ms": percentile(killed.ready_ms, 100),
            "answered_before_ready": killed.later,
            "processes_killed": workers.kills,
            "workers_killed": workers.restarts,
        },
        "workers": plan.workers,
        "scripts_asked_for": asked,
        "scripts_ready": tally.ready,
        "failures": sorted(set(failed))[:5],
        "database_version": database_version,
    }


class Asker:
    """Asks the API for a script."""

    def __init__(self, port: int, token: str) -> None:
        self._client = Client(port, token)
        self._number = itertools.count()

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the document of the answer."""
        asked = _ASKED | {"parameters": {"mount": f"/bench/{next(self._number)}"}}
        status, answer = self._client.ask("POST", "/api/agent/generate-script", json.dumps(asked))
        return status, json.loads(answer)


def _ask_for_scripts(asker: Asker, engine: Engine, rate: int, seconds: float) -> Answers:
    """Ask at this rate for so long, and wait for all answers, and for the scripts that they promise."""
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
            answers.count += 1
            if fault:
                answers.failed.append(fault)
            elif status == 200:
                answers.ready_ms.append(milliseconds)
            else:
                answers.later += 1
                due_of[document["id"]] = due

    due_of: dict[int, float] = {}
    all_answered = threading.Event()
    watching = threading.Thread(target=_watch, args=(engine, due_of, answers, lock, all_answered))
    watching.start()
    try:
        at_pace(ask_at, rate, seconds, _CLIENTS)
    finally:
        all_answered.set()
        watching.join()
    return answers


def _watch(
    engine: Engine, due_of: dict[int, float], answers: Answers, lock: threading.Lock, all_answered: threading.Event
) -> None:
    """Note when each script that was promised is there, until they all are; in vain only for so long."""
    deadline = None
    while True:
        is_over = all_answered.is_set()
        with lock:
            promised = list(due_of)
        ready: Sequence[int] = []
        if promised:
            with reading(engine) as connection:
                ready = ready_scripts(connection, promised)
        now = time.monotonic()
        with lock:
            answers.ready_ms += [1000 * (now - due_of.pop(script_id)) for script_id in ready]
            left = len(due_of)
        deadline = deadline or (now + _PATIENCE_SECONDS if is_over else None)
        if is_over and (not left or now > (deadline or now)):
            return
        time.sleep(_LOOK_SECONDS)


class _Workers:
    """The workers, and who kills them and starts them again."""

    def __init__(self, settings: Mapping[str, str], folder: Path, count: int) -> None:
        self._settings = settings
        self._logs = [folder / f"worker-{number}.log" for number in range(count)]
        self._stack = ExitStack()
        self.kills = 0
        self.restarts = 0

    def __enter__(self) -> "_Workers":
        self.running = [self._start(log) for log in self._logs]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, log: Path) -> Worker:
        return self._stack.enter_context(running_worker(self._settings, None, log))

    def check_running(self) -> None:
        """Raise CommandFailed where one has ended."""
        for worker in self.running:
            worker.check_running()

    def kill_child(self) -> None:
        turn = self.kills % len(self.running)
        # One that was just started has none yet.
        for worker in self.running[turn:] + self.running[:turn]:
            with suppress(psutil.Error):
                for child in psutil.Process(worker.process.pid).children()[-1:]:
                    child.kill()
                    self.kills += 1
                    return

    def kill_worker(self) -> None:
        place = self.restarts % len(self.running)
        worker = self.running[place]
        with suppress(psutil.Error):
            parent = psutil.Process(worker.process.pid)
            for process in (parent, *parent.children()):
                process.kill()
        worker.process.wait()
        self.restarts += 1
        self.running[place] = self._start(worker.log)

    @contextmanager
    def being_killed(self, worker_at: Sequence[float]) -> Iterator[None]:
        """Kill a child every so often, and a whole worker after each of these seconds, until the block ends."""
        over = threading.Event()

        def kill() -> None:
            began = time.monotonic()
            turns = ((_KILL_SECONDS * turn, self.kill_child) for turn in itertools.count(1))
            for after, do in heapq.merge(turns, ((after, self.kill_worker) for after in worker_at), key=itemgetter(0)):
                if over.wait(max(0.0, began + after - time.monotonic())):
                    return
                do()

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
        workers.check_running()
        if time.monotonic() > deadline:
            raise workers.running[0].failed(f"the worker is not at work after {_PATIENCE_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)


def _wait_until_done(engine: Engine, workers: _Workers) -> None:
    """Wait until no job is queued, for as long as it may take to be rung for again; what is left then is lost."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with reading(engine) as connection:
            if not tally_scripts(connection).unfinished:
                return
        workers.check_running()
        time.sleep(_LOOK_SECONDS)
