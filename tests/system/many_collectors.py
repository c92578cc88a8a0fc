"""Many collectors on one Redis, for sizing: connections, memory, network, and how all come back after a crash of Redis.

    .venv/bin/python -m tests.system.many_collectors --collectors 5000 --users 100000

Each collector is the real spool, link and pusher, over a connection of its own with its host's own Redis user; only
what it reads is made up. The Redis is set up as `fleetmedic up` has it, and a `fleetmedic worker` acknowledges. It
prints one JSON object; `test_many_collectors.py` does the same in small.
"""

import argparse
import itertools
import json
import logging
import multiprocessing
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psutil
import redis
from sqlalchemy import Engine, text

import migrations
from cli.bench.cpu import cpu_seconds
from cli.bench.parts import own_database, running_worker
from cli.ports import free_port
from cli.redis_server import RedisServer, start_redis
from cli.redis_users import ensure_redis_users
from store.engine import connect, reading
from store.enrollment import EnrolledHost
from tests.system.all_in_one import CLEAN, wait_until
from tests.system.fleet import SimulatedHost, enroll_hosts

_PATIENCE_SECONDS = 300.0
_FIRST_STRANGER = 10**9
_MEBIBYTE = 2**20
_SNAPSHOTS_BYTES = text(
    "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'snapshots%'"
)
_HEARD_SINCE = text("SELECT count(*) FROM host_state WHERE received_at > :since")
_COUNTS = text(
    "SELECT (SELECT count(*) FROM snapshots), "
    "(SELECT count(*) FROM (SELECT DISTINCT host_id, incarnation, sequence FROM snapshots) AS different)"
)


def collect(
    hosts: Sequence[EnrolledHost],
    folder: Path,
    url: str,
    interval_seconds: float,
    resting: Event,
    ending: Event,
    produced: "Connection[int, int]",
) -> None:
    """Run these hosts in this process: all connect at once, their snapshots are spread over the interval."""
    # Thousands would say the same of a Redis that is away.
    logging.disable()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    simulated = [
        SimulatedHost(host, folder / f"host-{host.id}", url, interval_seconds=interval_seconds) for host in hosts
    ]
    began = time.monotonic()
    for number in itertools.count():
        due = began + number * interval_seconds / len(simulated)
        if resting.wait(max(0.0, due - time.monotonic())):
            break
        simulated[number % len(simulated)].read()
    produced.send(sum(len(host.ledger) for host in simulated))
    ending.wait()
    for host in simulated:
        host.close()


class Collectors:
    """Collectors in some processes of their own."""

    def __init__(self, hosts: Sequence[EnrolledHost], folder: Path, url: str, interval: float, processes: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._resting, self._ending = spawning.Event(), spawning.Event()
        self._produced = []
        self._processes = []
        for place in range(processes):
            here, there = spawning.Pipe(duplex=False)
            arguments = (hosts[place::processes], folder, url, interval, self._resting, self._ending, there)
            self._produced.append(here)
            self._processes.append(spawning.Process(target=collect, args=arguments, daemon=True))
            self._processes[-1].start()

    def rest(self) -> int:
        """Take no more snapshots, and return how many there were."""
        self._resting.set()
        return sum(connection.recv() for connection in self._produced)

    def close(self) -> None:
        """End the processes."""
        self._ending.set()
        for process in self._processes:
            process.join(30)
            process.kill()


class Measured:
    """A Redis whose server process is measured, also after it was killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._password, self._port = folder, secrets.token_hex(8), free_port()
        self.start_seconds = self.start()

    def start(self) -> float:
        """Start it, and return after how many seconds it answered."""
        began = time.monotonic()
        self.server: RedisServer = start_redis(self._folder, self._password, "127.0.0.1", self._port)
        self.client = redis.Redis.from_url(self.server.url)
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill it; its connections end with it."""
        self.client.close()
        self.server.process.kill()
        self.server.process.wait()

    def resident_mib(self) -> float:
        """Return the memory that its process takes."""
        return round(psutil.Process(self.server.process.pid).memory_info().rss / _MEBIBYTE, 1)

    def clients_bytes(self) -> int:
        """Return the memory that its connections take."""
        return int(self.client.info("memory")["mem_clients_normal"])

    def connected(self) -> int:
        """Return how many clients it has."""
        return int(self.client.info("clients")["connected_clients"])

    def network_bytes(self) -> tuple[int, int]:
        """Return how many bytes it received and sent since its start."""
        stats = self.client.info("stats")
        return int(stats["total_net_input_bytes"]), int(stats["total_net_output_bytes"])


@contextmanager
def measured_redis(folder: Path) -> Iterator[Measured]:
    """Run a Redis as `up` has it until the block ends."""
    redis_of_ours = Measured(folder)
    try:
        yield redis_of_ours
    finally:
        redis_of_ours.kill()


def measure(
    folder: Path, database: str, collectors: int, users: int, interval: float, seconds: float, processes: int
) -> dict[str, Any]:
    """Run the collectors for that long, kill Redis and start it again, and return what was measured."""
    found: dict[str, Any] = {"collectors": collectors, "interval_seconds": interval, "users": max(users, collectors)}
    with ExitStack() as stack:
        own = stack.enter_context(measured_redis(folder / "redis"))
        url = stack.enter_context(own_database(database, folder))
        engine = connect(url)
        stack.callback(engine.dispose)
        migrations.upgrade(engine)
        found["redis_mib_empty"] = own.resident_mib()
        strangers = [(_FIRST_STRANGER + number, secrets.token_bytes(32)) for number in range(users - collectors)]
        hosts, found["users_made_seconds"] = timed(lambda: enroll_hosts(engine, own.server.url, collectors, strangers))
        found["redis_mib_with_users"] = own.resident_mib()
        one_more = [(_FIRST_STRANGER - 1, secrets.token_bytes(32))]
        _, found["one_more_user_seconds"] = timed(lambda: ensure_redis_users(own.client, one_more))
        own.kill()
        found["start_with_users_seconds"] = round(own.start(), 3)
        environment = CLEAN | {"FLEETMEDIC_REDIS_URL": own.server.url, "FLEETMEDIC_DATABASE_URL": url}
        worker = stack.enter_context(running_worker(environment, None, folder / "worker.log"))
        wait_until(lambda: own.connected() > 1 or worker.check_running() is not None)
        before, memory_before = own.connected(), own.clients_bytes()
        fleet = Collectors(hosts, folder, own.server.url, interval, processes)
        stack.callback(fleet.close)

        def all_are_in() -> bool:
            return own.connected() >= before + collectors

        _, found["all_connected_seconds"] = timed(lambda: wait_until(all_are_in, seconds=_PATIENCE_SECONDS))
        found["all_heard_seconds"] = seconds_until_all_are_heard(engine, collectors, time.time())
        cpu, network, began = cpu_seconds(own.server.process.pid), own.network_bytes(), time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        found["redis_cpu_percent"] = round(100 * (cpu_seconds(own.server.process.pid) - cpu) / elapsed, 2)
        intervals = collectors * elapsed / interval
        found["redis_bytes_per_snapshot"] = {
            way: round((after - before) / intervals)
            for way, after, before in zip(("received", "sent"), own.network_bytes(), network, strict=True)
        }
        found["redis_bytes_per_connection"] = round((own.clients_bytes() - memory_before) / collectors)
        found["redis_mib_with_collectors"] = own.resident_mib()
        found["connected_clients"] = own.connected()
        own.kill()
        killed_at = time.time()
        own.start()
        found["all_heard_again_seconds"] = seconds_until_all_are_heard(engine, collectors, killed_at)
        found["produced"] = fleet.rest()
        wait_until(lambda: counts(engine)[1] >= found["produced"], seconds=_PATIENCE_SECONDS)
        found["stored"], found["distinct"] = counts(engine)
        if engine.dialect.name == "postgresql":
            with reading(engine) as connection:
                found["postgres_bytes_per_snapshot"] = round(
                    connection.execute(_SNAPSHOTS_BYTES).scalar_one() / found["stored"]
                )
        found["rejected_connections"] = int(own.client.info("stats")["rejected_connections"])
    return found


def timed(work: Any) -> tuple[Any, float]:
    """Return what the work returns, and how many seconds it took."""
    began = time.monotonic()
    result = work()
    return result, round(time.monotonic() - began, 3)


def seconds_until_all_are_heard(engine: Engine, collectors: int, since: float) -> float:
    """Wait until each host has a snapshot stored that was received after ``since``; return the seconds since then."""

    def all_are_heard() -> bool:
        with reading(engine) as connection:
            return bool(connection.execute(_HEARD_SINCE, {"since": since}).scalar_one() >= collectors)

    wait_until(all_are_heard, seconds=_PATIENCE_SECONDS)
    return round(time.time() - since, 3)


def counts(engine: Engine) -> tuple[int, int]:
    """Return how many snapshots are stored, and how many different ones."""
    with reading(engine) as connection:
        stored, distinct = connection.execute(_COUNTS).one()
    return int(stored), int(distinct)


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collectors", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--users", type=int, default=0, help="Redis users in all (default: one a collector)")
    parser.add_argument("--interval", type=float, default=30, help="seconds between snapshots (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of steady running (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=4, help="that the collectors share (default: %(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetmedic-collectors-") as folder:
        found = measure(
            Path(folder), "postgres", asked.collectors, asked.users, asked.interval, asked.seconds, asked.processes
        )
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
