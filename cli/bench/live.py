"""``bench ingest --live``: pushes and drains together, at the pace of a fleet, for as long as asked.

Everything is real, as in ``bench ingest``, and the API runs too. Processes of their own push what simulated hosts take,
each host at its own moment of the interval. Meanwhile it is measured how old the oldest entry is that is not in the
database yet (looked at in all inboxes, twice a second), and how long an event takes from the push of its snapshot
until the API shows it (a few hosts apart whose disks fail, once a second).
"""

import http.client
import itertools
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psutil
import redis
from sqlalchemy import Engine

from cli.bench.client import Client
from cli.bench.cpu import cpu_seconds
from cli.bench.inboxes import Inboxes, wait_until_drained
from cli.bench.pace import percentile
from cli.bench.parts import Worker, postgres_pid, running_api, running_worker
from cli.bench.pushers import INCARNATION, Pushed, Pushers, Share, Target, running_pushers
from cli.bench.stage import own_stage
from cli.errors import CommandFailed
from store.benchmark import count_snapshots, enroll_simulated, version
from store.engine import reading, writing
from store.enrollment import EnrolledHost, enrolled_hosts
from store.retention import make_partitions
from wire import keys
from wire.entry import open_entry, seal
from wire.metrics import pack_core
from wire.snapshot import SNAPSHOT_VERSION, Details, DiskHealth, Snapshot, encode_details, encode_snapshot

Say = Callable[[str], None]

_PUSHING_PROCESSES = 2
_PROBES = 50
_PROBE_SECONDS = 1.0
_LOOK_SECONDS = 0.5
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0
_PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    """``sqlite``, ``postgres`` or the URL of a Postgres server."""
    hosts: int
    minutes: float
    interval_seconds: float
    children: int | None
    """Of the worker; None leaves their number to it."""
    processes: int
    """Listed in a snapshot by CPU, and as many by memory."""


@dataclass
class _Seen:
    """What was measured meanwhile."""

    lag_seconds: list[float] = field(default_factory=list)
    visible_ms: list[float] = field(default_factory=list)
    unseen_events: int = 0
    failure: Exception | None = None


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    say("starting Redis and the database")
    with own_stage(plan.database, environment) as stage, ExitStack() as stack:
        engine, client = stage.engine, stage.client
        make_partitions(engine, time.time())
        say(f"enrolling {plan.hosts:,} hosts")
        with writing(engine) as connection:
            enroll_simulated(connection, plan.hosts + _PROBES, time.time())
            enrolled = enrolled_hosts(connection)
        hosts, probes = enrolled[: plan.hosts], enrolled[plan.hosts :]
        worker = stack.enter_context(running_worker(stage.settings, plan.children, stage.folder / "worker.log"))
        api = stack.enter_context(running_api(stage.settings, stage.folder / "api.log"))
        say("making the hosts")
        user, password = Inboxes(client).let_collectors_in()
        port = int(client.connection_pool.connection_kwargs["port"])
        pushers = stack.enter_context(running_pushers(_shares(plan, hosts), Target(port, user, password)))
        pids = {
            "worker": worker.process.pid,
            "database": postgres_pid(engine),
            "redis": stage.redis_server.process.pid,
            "api": api.pid,
        }
        seen = _Seen()
        pushers.begin()
        before = _cpu(pids)
        pushing_before = sum(map(cpu_seconds, pushers.pids))
        began = time.monotonic()
        pushed, pushing_seconds = _watch(
            plan, client, probes, Client(api.port, stage.token), worker, pushers, seen, say
        )
        wait_until_drained(Inboxes(client), worker, say)
        seconds = time.monotonic() - began
        after = _cpu(pids)
        pushing_after = sum(map(cpu_seconds, pushers.pids))
        say("counting rows")
        found = _counted(engine, [host.id for host in probes])
        with reading(engine) as connection:
            database_version = version(connection)
        snapshots = sum(one.snapshots for one in pushed)
        spent = {part: None if used is None else used - (before[part] or 0.0) for part, used in after.items()}
        return {
            "hosts": plan.hosts,
            "interval_seconds": plan.interval_seconds,
            "minutes": plan.minutes,
            "snapshots": snapshots,
            "seconds": round(seconds, 1),
            "snapshots_per_second": round(snapshots / pushing_seconds),
            "snapshots_per_second_wanted": round(plan.hosts / plan.interval_seconds),
            "pushers_late_seconds": round(max(one.latest_seconds for one in pushed), 2),
            "lag_seconds": _percentiles(seen.lag_seconds, 2),
            "event_visible_ms": _percentiles(seen.visible_ms, 1),
            "events_measured": len(seen.visible_ms),
            "events_unseen": seen.unseen_events,
            "asked_to_wait": sum(one.asked_to_wait for one in pushed),
            "cpu_seconds": {part: None if used is None else round(used, 1) for part, used in spent.items()},
            "cpu_us_per_snapshot": round(1e6 * sum(used or 0.0 for used in spent.values()) / snapshots, 2),
            "pushers_cpu_us_per_snapshot": round(1e6 * (pushing_after - pushing_before) / snapshots, 2),
            "rows_expected": snapshots,
            "rows_found": found,
            "worker_children": len(psutil.Process(worker.process.pid).children()),
            "database_version": database_version,
            "redis_version": client.info("server")["redis_version"],
            "python_version": platform.python_version(),
            "cores": os.cpu_count(),
        }


def _shares(plan: Plan, hosts: Sequence[EnrolledHost]) -> list[Share]:
    rounds = max(1, round(60 * plan.minutes / plan.interval_seconds))
    return [
        Share(
            [host.id for host in some],
            [host.key for host in some],
            rounds,
            plan.interval_seconds,
            plan.processes,
        )
        for some in (hosts[place::_PUSHING_PROCESSES] for place in range(_PUSHING_PROCESSES))
        if some
    ]


def _cpu(pids: Mapping[str, int | None]) -> dict[str, float | None]:
    return {part: None if pid is None else cpu_seconds(pid) for part, pid in pids.items()}


def _watch(
    plan: Plan,
    client: "redis.Redis",
    probes: Sequence[EnrolledHost],
    api: Client,
    worker: Worker,
    pushers: Pushers,
    seen: _Seen,
    say: Say,
) -> tuple[list[Pushed], float]:
    """Measure until all is pushed; return what was, and the seconds that it took."""
    began = told_at = time.monotonic()
    stopped = threading.Event()
    prober = threading.Thread(target=_probe, args=(client, probes, api, seen, stopped), daemon=True)
    prober.start()
    try:
        while not pushers.is_done():
            worker.check_running()
            seen.lag_seconds.append(_lag_seconds(client))
            if (now := time.monotonic()) - told_at > _PROGRESS_SECONDS:
                told_at = now
                say(f"{(now - began) / 60:.1f} of {plan.minutes:g} minutes, lag {seen.lag_seconds[-1]:.2f} s")
            time.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - began
    finally:
        stopped.set()
        prober.join(timeout=_PATIENCE_SECONDS)
    if seen.failure is not None:
        raise CommandFailed(f"events could not be looked for: {seen.failure}")
    return pushers.results(), seconds


def _lag_seconds(client: "redis.Redis") -> float:
    """Return how old the oldest entry of all inboxes is."""
    pipeline = client.pipeline(transaction=False)
    for shard in range(keys.SHARDS):
        pipeline.lindex(keys.inbox(shard), 0)
    sent_at = [open_entry(head).sent_at for head in pipeline.execute() if head]
    return max(0.0, time.time() - min(sent_at)) if sent_at else 0.0


def _probe(
    client: "redis.Redis",
    probes: Sequence[EnrolledHost],
    api: Client,
    seen: _Seen,
    stopped: threading.Event,
) -> None:
    """Let one host after another have a disk that fails, a new one each time, and see when the API shows the event."""
    try:
        for turn, host in enumerate(itertools.cycle(probes)):
            if stopped.wait(_PROBE_SECONDS):
                return
            sequence = 1 + 2 * (turn // len(probes))
            # The good one resolves the event of the turn before.
            _push(client, host, sequence, ())
            if not _until(lambda: client.get(keys.ack(host.id)) == keys.format_ack(INCARNATION, sequence)):  # noqa: B023
                seen.unseen_events += 1
                continue
            pushed_at = time.monotonic()
            disk = f"disk {turn}"
            _push(client, host, sequence + 1, (DiskHealth(disk, True),))
            if _until(lambda: _is_shown(api, host, disk)):  # noqa: B023 - called before the loop goes on
                seen.visible_ms.append(1000 * (time.monotonic() - pushed_at))
            else:
                seen.unseen_events += 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the bench tells it
        seen.failure = error


def _push(client: "redis.Redis", host: EnrolledHost, sequence: int, failing: tuple[DiskHealth, ...]) -> None:
    now = time.time()
    core, details = pack_core({"disks_failing": float(len(failing))}), encode_details(Details(disk_health=failing))
    body = encode_snapshot(Snapshot(SNAPSHOT_VERSION, now, 1.0, core, details))
    entry = seal(host.key, host.id, INCARNATION, sequence, now, body)
    client.rpush(keys.inbox(keys.shard_of(host.id)), entry)


def _is_shown(api: Client, host: EnrolledHost, disk: str) -> bool:
    status, body = api.ask("GET", f"/api/v1/events?host={host.name}&type=disk_health&state=open")
    if status != http.HTTPStatus.OK:
        raise CommandFailed(f"the API answered {status}: {body[:200]!r}")
    return any(event["subject"] == disk for event in json.loads(body)["items"])


def _until(is_so: Callable[[], bool]) -> bool:
    """Say whether it came to be so within some seconds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _counted(engine: Engine, apart: Sequence[int]) -> int:
    with reading(engine) as connection:
        return count_snapshots(connection, apart)


def _percentiles(values: Sequence[float], digits: int) -> dict[str, float | None]:
    return {name: percentile(values, percent, digits) for name, percent in (("p50", 50), ("p99", 99), ("max", 100))}
