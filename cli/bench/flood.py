"""``bench flood``: what hosts notice of one that floods, in the same shard and in another.

Everything is real: Redis, the database, ``fleetmedic worker``. Hosts push a snapshot a second each; of two of them, one
in the flooded shard and one in another, it is measured how long a snapshot takes from its push to its
acknowledgement. First nobody floods. Then one host pushes 1,000 snapshots a second, signed and in its order, each time
what follows its acknowledgement; once it is named by its event, it is measured again. Then it pushes 100,000 at once,
every 2 s.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine

from cli.bench.pace import percentile
from cli.bench.parts import Worker, running_worker
from cli.bench.stage import own_stage
from store import events
from store.benchmark import enroll_simulated, version
from store.engine import reading, writing
from store.enrollment import EnrolledHost, enrolled_hosts
from wire import keys
from wire.entry import seal
from wire.metrics import pack_core
from wire.snapshot import SNAPSHOT_VERSION, Snapshot, encode_snapshot

Say = Callable[[str], None]

HOSTS = 640
"""Ten a shard, one snapshot a second each: no host is alone, and nothing is near its limit."""
_INCARNATION = 1
_INTERVAL_SECONDS = 1.0
_SLICES = 50
_STEADY = (50, 0.05)
"""Snapshots at once, and seconds between: 1,000 a second."""
_BULKY = (100_000, 2.0)
_POLL_SECONDS = 0.001
_REST_SECONDS = 0.03
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    seconds: int
    """Of each of the three measurements."""


@dataclass
class _Host:
    """A simulated host."""

    enrolled: EnrolledHost
    sequence: int = 0

    @property
    def inbox(self) -> str:
        return keys.inbox(keys.shard_of(self.enrolled.id))

    def entry(self, sequence: int, taken_at: float) -> bytes:
        core = pack_core({"cpu_percent": 10.0, "memory_percent": 40.0})
        body = encode_snapshot(Snapshot(SNAPSHOT_VERSION, taken_at, _INTERVAL_SECONDS, core))
        return seal(self.enrolled.key, self.enrolled.id, _INCARNATION, sequence, taken_at, body)

    def next_entry(self) -> bytes:
        self.sequence += 1
        return self.entry(self.sequence, time.time())


@dataclass
class _Site:
    """The running parts and the hosts."""

    url: str
    client: "redis.Redis"
    worker: Worker
    hosts: Sequence[_Host]

    @property
    def flooder(self) -> _Host:
        return self.hosts[0]

    def neighbour(self, *, in_flooded_shard: bool) -> _Host:
        return next(host for host in self.hosts[1:] if (host.inbox == self.flooder.inbox) == in_flooded_shard)

    def acknowledged(self, host: _Host) -> int:
        value = self.client.get(keys.ack(host.enrolled.id))
        return keys.parse_ack(value)[1] if isinstance(value, bytes) else 0


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    say("starting Redis and the database")
    with own_stage(plan.database, environment) as stage, ExitStack() as stack:
        engine = stage.engine
        with writing(engine) as connection:
            enroll_simulated(connection, HOSTS, time.time())
            hosts = [_Host(host) for host in enrolled_hosts(connection)]
        say("starting the worker")
        worker = stack.enter_context(running_worker(stage.settings, None, stage.folder / "worker.log"))
        site = _Site(stage.redis_server.url, stage.client, worker, hosts)
        stack.enter_context(_pushing(site, _push_steadily))
        for neighbour in _neighbours(site).values():
            _latency(site, neighbour)
        say("measuring without a flood")
        figures: dict[str, Any] = {"without": _measured(site, plan.seconds)}
        began = time.monotonic()
        with _pushing(site, lambda site, stopping: _flood(site, stopping, *_STEADY)):
            say("flooding until it is named")
            _wait_until(site, lambda: _is_named(engine), "the flood was not named")
            named_after = time.monotonic() - began
            say("measuring with 1,000 a second")
            figures["with_1000_a_second"] = _measured(site, plan.seconds)
        with _pushing(site, lambda site, stopping: _flood(site, stopping, *_BULKY)):
            say("measuring with 100,000 at once every 2 s")
            figures["with_100000_at_once"] = _measured(site, plan.seconds)
        with reading(engine) as connection:
            database_version = version(connection)
        return {
            "hosts": HOSTS,
            "seconds": plan.seconds,
            "named_after_seconds": round(named_after, 1),
            **figures,
            "database_version": database_version,
            "redis_version": stage.client.info("server")["redis_version"],
            "cores": os.cpu_count(),
        }


def _neighbours(site: _Site) -> dict[str, _Host]:
    return {
        "same_shard": site.neighbour(in_flooded_shard=True),
        "other_shard": site.neighbour(in_flooded_shard=False),
    }


def _measured(site: _Site, seconds: float) -> dict[str, Any]:
    neighbours = _neighbours(site)
    taken: dict[str, list[float]] = {name: [] for name in neighbours}
    before, began = site.acknowledged(site.flooder), time.monotonic()
    longest = 0
    while time.monotonic() - began < seconds:
        for name, host in neighbours.items():
            taken[name].append(1000 * _latency(site, host))
            time.sleep(_REST_SECONDS)
        longest = max(longest, site.client.llen(site.flooder.inbox))
    admitted = site.acknowledged(site.flooder) - before
    return {
        **{
            name: {"n": len(some), "p50_ms": percentile(some, 50), "p99_ms": percentile(some, 99)}
            for name, some in taken.items()
        },
        "taken_in_of_the_flood_a_second": round(admitted / (time.monotonic() - began), 1),
        "longest_inbox_seen": longest,
    }


def _latency(site: _Site, host: _Host) -> float:
    """Push a snapshot and return the seconds until it is acknowledged."""
    began = time.perf_counter()
    site.client.rpush(host.inbox, host.next_entry())
    _wait_until(site, lambda: site.acknowledged(host) == host.sequence, "a snapshot was not acknowledged")
    return time.perf_counter() - began


def _wait_until(site: _Site, is_so: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        site.worker.check_running()
        if time.monotonic() > deadline:
            raise site.worker.failed(f"{complaint} for {_PATIENCE_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


def _is_named(engine: Engine) -> bool:
    with reading(engine) as connection:
        return bool(events.page(connection, events.EventFilter(type="host_flooding"), limit=1))


@contextmanager
def _pushing(site: _Site, push: Callable[[_Site, threading.Event], None]) -> Iterator[None]:
    """Push in a thread until the block ends."""
    stopping = threading.Event()
    thread = threading.Thread(target=push, args=(site, stopping), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _push_steadily(site: _Site, stopping: threading.Event) -> None:
    """Push for all hosts but the flooder and those that are measured, each once an interval."""
    apart = [site.flooder, *_neighbours(site).values()]
    others = [host for host in site.hosts if host not in apart]
    turn = 0
    with redis.Redis.from_url(site.url) as client:
        while not stopping.wait(_INTERVAL_SECONDS / _SLICES):
            pipeline = client.pipeline(transaction=False)
            for host in others[turn % _SLICES :: _SLICES]:
                pipeline.rpush(host.inbox, host.next_entry())
            pipeline.execute()
            turn += 1


def _flood(site: _Site, stopping: threading.Event, count: int, seconds: float) -> None:
    flooder = site.flooder
    with redis.Redis.from_url(site.url) as client:
        while True:
            began, now = time.monotonic(), time.time()
            first = site.acknowledged(flooder) + 1
            some = [flooder.entry(first + place, now + place / 1000) for place in range(min(count, 1000))]
            for _ in range(-(-count // 1000)):
                client.rpush(flooder.inbox, *some)
            if stopping.wait(max(0.0, seconds - (time.monotonic() - began))):
                return
