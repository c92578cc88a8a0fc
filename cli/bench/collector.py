"""``bench collector``: what a collection costs, beside a scrape of node_exporter where that is installed.

The collector is ``fleetmedic collector``, with a real Redis, a real worker and SQLite behind it. A collection is all
that a snapshot takes: reading the host, the spool, the push, and what the process does while it waits for the next.
Only the collector's own process counts. node_exporter is scraped once after each collection.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cli.bench.cpu import precise_cpu_seconds
from cli.bench.node_exporter import find_node_exporter, running_node_exporter, version_of
from cli.bench.parts import Worker, running_worker
from cli.bench.stage import Stage, own_stage
from cli.errors import CommandFailed
from cli.redis_server import without_credentials
from cli.redis_users import ensure_redis_users
from store.benchmark import enroll_simulated
from store.engine import writing
from store.enrollment import enrolled_hosts
from wire import keys
from wire.hostkey import format_host_key
from wire.text import visible

Say = Callable[[str], None]

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_WARM_UP_COLLECTIONS = 3
_STOP_SECONDS = 10.0
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    seconds: int
    interval_seconds: int
    """Between collections, and between scrapes."""
    processes: int
    """Sleeping ones, started beside those that run on this machine anyway."""


@dataclass(frozen=True)
class _Use:
    """What a process has used up to a moment."""

    cpu_seconds: float
    rss_bytes: int
    pss_bytes: int
    """Resident, what is shared divided among those that share it."""

    @classmethod
    def of(cls, pid: int) -> "_Use":
        memory = psutil.Process(pid).memory_full_info()
        return cls(precise_cpu_seconds(pid), memory.rss, memory.pss)


class _Host:
    """The collector's process, and the server's view of it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, ack: Callable[[], bytes | None]) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log
        self._ack = ack

    def wait_beyond(self, sequence: int, worker: Worker) -> int:
        """Wait until the server has committed a later snapshot and return its sequence. Raises CommandFailed."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            value = self._ack()
            if value is not None and (committed := keys.parse_ack(value)[1]) > sequence:
                return committed
            worker.check_running()
            if self._process.poll() is not None:
                raise CommandFailed(f"the collector ended: {visible(self._log.read_text(errors='replace')[-500:])}")
            if time.monotonic() > deadline:
                raise worker.failed(f"no snapshot was committed for {_PATIENCE_SECONDS:g} s")
            time.sleep(_LOOK_SECONDS)


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    if sys.platform != "linux":
        raise CommandFailed("`bench collector` needs Linux: only there can the CPU clock of another process be read")
    say("starting Redis, the database and the worker")
    with own_stage("sqlite", environment) as stage, ExitStack() as stack:
        return _run(plan, stage, say, stack)


def _run(plan: Plan, stage: Stage, say: Say, stack: ExitStack) -> dict[str, Any]:
    with writing(stage.engine) as connection:
        enroll_simulated(connection, 1, time.time())
        [enrolled] = enrolled_hosts(connection)
    ensure_redis_users(stage.client, [(enrolled.id, enrolled.key)])
    worker = stack.enter_context(running_worker(stage.settings, 1, stage.folder / "worker.log"))
    program = find_node_exporter()
    say("starting the collector" + (" and node_exporter" if program else ", without node_exporter: not on PATH"))
    exporter = program and stack.enter_context(running_node_exporter(program, stage.folder / "node_exporter.log"))
    stack.enter_context(_sleeping(plan.processes))
    settings = {
        **stage.settings,
        "FLEETMEDIC_REDIS_URL": without_credentials(stage.redis_server.url),
        "FLEETMEDIC_HOST_KEY": format_host_key(enrolled.id, enrolled.key),
        "FLEETMEDIC_INTERVAL": str(plan.interval_seconds),
    }
    host = stack.enter_context(_collecting(settings, stage.folder / "collector.log", lambda: _ack(stage, enrolled.id)))
    committed = 0
    for _ in range(_WARM_UP_COLLECTIONS):
        committed = host.wait_beyond(committed, worker)
        if exporter:
            exporter.scrape()
    say(f"measuring for {plan.seconds} s")
    before, exporter_before = _Use.of(host.pid), exporter and _Use.of(exporter.pid)
    first, scrapes = committed, 0
    until = time.monotonic() + plan.seconds
    while time.monotonic() < until or not scrapes:
        committed = host.wait_beyond(committed, worker)
        scrapes += 1
        if exporter:
            exporter.scrape()
    return {
        **_figures(before, _Use.of(host.pid), committed - first, "collection"),
        "node_exporter": {
            **_figures(exporter_before, _Use.of(exporter.pid), scrapes, "scrape"),
            "version": version_of(program),
        }
        if program and exporter and exporter_before
        else None,
        "interval_seconds": plan.interval_seconds,
        "processes": len(psutil.pids()),
        "python_version": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
    }


def _figures(before: _Use, after: _Use, turns: int, turn: str) -> dict[str, Any]:
    return {
        f"cpu_ms_per_{turn}": round(1000 * (after.cpu_seconds - before.cpu_seconds) / turns, 2),
        "rss_mb": round(after.rss_bytes / _MEGABYTE, 1),
        "pss_mb": round(after.pss_bytes / _MEGABYTE, 1),
        f"{turn}s": turns,
    }


def _ack(stage: Stage, host_id: int) -> bytes | None:
    value = stage.client.get(keys.ack(host_id))
    return value if isinstance(value, bytes) else None


@contextmanager
def _collecting(settings: Mapping[str, str], log: Path, ack: Callable[[], bytes | None]) -> Iterator[_Host]:
    """Start ``fleetmedic collector``. ``ack`` asks Redis for the acknowledgement of its host."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "collector"],
            env=dict(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield _Host(process, log, ack)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()


@contextmanager
def _sleeping(count: int) -> Iterator[None]:
    """Have so many more processes on this machine, asleep."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            processes.append(subprocess.Popen(["sleep", "86400"], stdin=subprocess.DEVNULL))
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
