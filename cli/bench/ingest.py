"""``bench ingest``: how fast real workers take in what a fleet pushed, and what that costs.

Everything is real: Redis with its append-only file, the database, migrated, ``fleetmedic worker`` in a process of its
own. What is simulated is the hosts (``cli.bench.fleet``); their entries are signed and pushed the way collectors do
it, before any worker runs, and then put aside. So two things are measured one after the other: what a push costs
Redis, and what a drain costs all parts together.

The worker is started on empty inboxes. When it has acknowledged the snapshot of one more host and published the
configs, it is at work as on any other day, and everything that was put aside is moved to the inboxes by one
transaction of RENAMEs, which copies nothing. ``seconds`` runs from there until all inboxes are empty; since a worker
trims an inbox after the commit, the rows are then in the database. CPU is counted a little longer, so that what the
worker does after its trim counts as well. Then the rows are counted.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import redis

from cli.bench.cpu import cpu_seconds, loop_ms
from cli.bench.detection import detection_us_per_snapshot
from cli.bench.fleet import INTERVAL_SECONDS, SimulatedFleet
from cli.bench.inboxes import Inboxes, wait_until_drained
from cli.bench.parts import Worker, postgres_pid, running_worker
from cli.bench.stage import Stage, own_stage
from store.benchmark import Tally, enroll_simulated, tally, version
from store.engine import reading, writing
from store.enrollment import EnrolledHost, enrolled_hosts
from wire import keys
from wire.entry import seal

Say = Callable[[str], None]

_INCARNATION = 1
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_AFTERWARDS_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    """``sqlite``, ``postgres`` or the URL of a Postgres server."""
    hosts: int
    rounds: int
    """Snapshots of each host."""
    children: int | None
    """Of the worker; None leaves their number to it."""
    processes: int
    """Listed in a snapshot by CPU, and as many by memory."""


@dataclass(frozen=True)
class _Cpu:
    """CPU seconds of each part; of the database None where it runs elsewhere."""

    worker: float
    database: float | None
    redis: float


@dataclass(frozen=True)
class _Pids:
    """Each part's first process. SQLite has none of its own, nor has a database elsewhere one here."""

    worker: int
    database: int | None
    redis: int

    def cpu(self) -> _Cpu:
        database = None if self.database is None else cpu_seconds(self.database)
        return _Cpu(cpu_seconds(self.worker), database, cpu_seconds(self.redis))


@dataclass(frozen=True)
class _Pushed:
    """What preloading did."""

    cpu_seconds: float
    """Of Redis."""
    body_bytes: int
    """Of all bodies, without what an entry adds."""
    last_taken_at: float


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    say("starting Redis and the database")
    with own_stage(plan.database, environment) as stage, ExitStack() as stack:
        return _run(plan, stage, say, stack)


def _run(plan: Plan, stage: Stage, say: Say, stack: ExitStack) -> dict[str, Any]:
    engine, client, redis_pid = stage.engine, stage.client, stage.redis_server.process.pid
    say(f"enrolling {plan.hosts:,} hosts")
    with writing(engine) as connection:
        enroll_simulated(connection, plan.hosts + 1, time.time())
        *hosts, probe = enrolled_hosts(connection)
    inboxes = Inboxes(client)
    pushed = _preload(plan, hosts, inboxes, redis_pid, say)
    say("starting the worker")
    worker = stack.enter_context(running_worker(stage.settings, plan.children, stage.folder / "worker.log"))
    _wait_until_at_work(worker, probe, inboxes, client)
    children = len(psutil.Process(worker.process.pid).children())
    pids = _Pids(worker.process.pid, postgres_pid(engine), redis_pid)
    loops_ms = [loop_ms()]
    before = pids.cpu()
    seconds = _drain(worker, inboxes, say)
    time.sleep(_AFTERWARDS_SECONDS)
    after = pids.cpu()
    loops_ms.append(loop_ms())
    say("counting rows")
    with reading(engine) as connection:
        found = tally(connection, probe.id, _INCARNATION, plan.rounds)
        database_version = version(connection)
    say("measuring detection")
    stack.close()
    detection = detection_us_per_snapshot(
        engine, client, plan.hosts, plan.hosts * plan.rounds, plan.processes, pushed.last_taken_at
    )
    return {
        **figures(plan, seconds, _spent(before, after), pushed.cpu_seconds, found),
        "detection_us_per_snapshot": detection,
        "loop_ms": loops_ms,
        "body_bytes": round(pushed.body_bytes / (plan.hosts * plan.rounds)),
        "worker_children": children,
        "database_version": database_version,
        "redis_version": client.info("server")["redis_version"],
        "python_version": platform.python_version(),
        "cores": os.cpu_count(),
    }


def _preload(plan: Plan, hosts: Sequence[EnrolledHost], inboxes: Inboxes, redis_pid: int, say: Say) -> _Pushed:
    """Push all rounds, the last one taken now, and put them aside."""
    fleet = SimulatedFleet(len(hosts), plan.processes)
    before = cpu_seconds(redis_pid)
    body_bytes, last_taken_at = 0, 0.0

    def entries(number: int) -> Iterator[tuple[int, bytes]]:
        nonlocal body_bytes, last_taken_at
        taken_at = last_taken_at = time.time() - INTERVAL_SECONDS * (plan.rounds - 1 - number)
        for host, body in zip(hosts, fleet.bodies(number, taken_at), strict=True):
            body_bytes += len(body)
            yield host.id, seal(host.key, host.id, _INCARNATION, number + 1, time.time(), body)

    for number in range(plan.rounds):
        say(f"pushing round {number + 1} of {plan.rounds}")
        inboxes.push(entries(number))
    spent = cpu_seconds(redis_pid) - before
    inboxes.hold_back()
    return _Pushed(spent, body_bytes, last_taken_at)


def _wait_until_at_work(worker: Worker, probe: EnrolledHost, inboxes: Inboxes, client: redis.Redis) -> None:
    [body] = SimulatedFleet(1, 1).bodies(1, time.time())
    inboxes.push([(probe.id, seal(probe.key, probe.id, _INCARNATION, 1, time.time(), body))])
    acknowledged = keys.format_ack(_INCARNATION, 1)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while client.get(keys.ack(probe.id)) != acknowledged or not client.exists(keys.CONFIGS_PUBLISHED):
        worker.check_running()
        if time.monotonic() > deadline:
            raise worker.failed(f"the worker is not at work after {_PATIENCE_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)


def _drain(worker: Worker, inboxes: Inboxes, say: Say) -> float:
    """Release what was put aside and return the seconds until it is drained."""
    began = time.monotonic()
    inboxes.release()
    wait_until_drained(inboxes, worker, say)
    return time.monotonic() - began


def _spent(before: _Cpu, after: _Cpu) -> _Cpu:
    database = None if before.database is None or after.database is None else after.database - before.database
    return _Cpu(after.worker - before.worker, database, after.redis - before.redis)


def figures(plan: Plan, seconds: float, drain: _Cpu, push_cpu_seconds: float, found: Tally) -> dict[str, Any]:
    """Return the figures of the design, section 7, from what was measured.

    A sample is one core metric that is not missing. Without a sample there is no cost of one: None.
    """
    snapshots = plan.hosts * plan.rounds
    samples_per_snapshot = found.samples / found.rows if found.rows else 0.0
    drain_us = 1e6 * (drain.worker + (drain.database or 0.0) + drain.redis) / snapshots
    push_us = 1e6 * push_cpu_seconds / snapshots
    return {
        "hosts": plan.hosts,
        "rounds": plan.rounds,
        "snapshots": snapshots,
        "seconds": round(seconds, 3),
        "snapshots_per_second": round(snapshots / seconds),
        "samples_per_snapshot": round(samples_per_snapshot, 2),
        "cpu_seconds": {part: None if used is None else round(used, 2) for part, used in asdict(drain).items()},
        "drain_us_per_snapshot": round(drain_us, 2),
        "push_us_per_snapshot": round(push_us, 2),
        # Microseconds a sample are seconds a million samples.
        "cpu_seconds_per_million_samples": round((drain_us + push_us) / samples_per_snapshot, 3)
        if samples_per_snapshot
        else None,
        "rows_expected": snapshots,
        "rows_found": found.rows,
        "duplicates": found.duplicates,
        "missing": snapshots - found.expected_found,
        "dead_letters": found.dead_letters,
        "events_opened": found.events,
    }
