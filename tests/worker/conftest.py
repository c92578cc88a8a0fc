"""Simulated hosts that sign and push real entries."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
import redis
from sqlalchemy import Engine

from store.engine import writing
from store.enrollment import enroll
from wire import keys
from wire.entry import seal
from wire.metrics import pack_core
from wire.snapshot import SNAPSHOT_VERSION, Details, Snapshot, encode_details, encode_snapshot
from worker.inbox import Inbox

NOW = 1_800_000_000.0


@dataclass
class SimulatedHost:
    """A host with its key; pushes through ``client`` as its collector would."""

    id: int
    key: bytes
    client: "redis.Redis"
    incarnation: int = 1
    sequence: int = 0
    interval_seconds: float = 10.0
    metrics: dict[str, float] = field(default_factory=lambda: {"cpu_percent": 10.0})

    def body(self, taken_at: float, details: Details | bytes | None = None, **metrics: float) -> bytes:
        """Return the body of a snapshot."""
        raw = msgspec.Raw(details) if isinstance(details, bytes) else None
        return encode_snapshot(
            Snapshot(
                SNAPSHOT_VERSION,
                taken_at,
                self.interval_seconds,
                pack_core(self.metrics | metrics),
                raw or encode_details(details or Details(hostname=f"host {self.id}")),
            )
        )

    def snapshot(
        self,
        taken_at: float,
        details: Details | bytes | None = None,
        sent_at: float | None = None,
        **metrics: float,
    ) -> bytes:
        """Return the entry of the host's next snapshot, sent when it is taken unless told otherwise."""
        self.sequence += 1
        body = self.body(taken_at, details, **metrics)
        return seal(self.key, self.id, self.incarnation, self.sequence, sent_at or taken_at, body)

    def push(self, *entries: bytes) -> None:
        """Push entries to the host's inbox."""
        self.client.rpush(keys.inbox(keys.shard_of(self.id)), *entries)

    def report(self, taken_at: float, details: Details | bytes | None = None, **metrics: float) -> None:
        """Take a snapshot and push it."""
        self.push(self.snapshot(taken_at, details, **metrics))


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def inbox(client: "redis.Redis") -> Inbox:
    return Inbox(client)


@pytest.fixture
def new_host(engine: Engine, client: "redis.Redis") -> Callable[[], SimulatedHost]:
    names = (f"host-{number}-{secrets.token_hex(2)}" for number in itertools.count(1))

    def make() -> SimulatedHost:
        with writing(engine) as connection:
            enrolled = enroll(connection, next(names), now=NOW - 1000)
        return SimulatedHost(enrolled.id, enrolled.key, client)

    return make


@pytest.fixture
def host(new_host: Callable[[], SimulatedHost]) -> SimulatedHost:
    return new_host()
