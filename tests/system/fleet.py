"""A small fleet of simulated hosts: the collector's own spool, link and pusher, with a reader that makes up readings.

Each host keeps a ledger of what it produced, which the store is judged by (see ``oracle``).
"""

import random
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from cli.redis_server import without_credentials
from cli.redis_users import connect_to_enroll, ensure_redis_users
from collector.desired import DesiredConfig
from collector.link import Link
from collector.push import Pusher
from collector.spool import Spool
from store.engine import writing
from store.enrollment import EnrolledHost, enroll
from tests.system.all_in_one import wait_until
from tests.system.oracle import Ledger
from wire.metrics import CATALOGUE, pack_core
from wire.snapshot import SNAPSHOT_VERSION, Snapshot, encode_snapshot

_READING_SECONDS = 0.05
_INTERVAL_SECONDS = 0.5


def enroll_hosts(
    engine: Engine, redis_url: str, count: int, strangers: Sequence[tuple[int, bytes]] = ()
) -> list[EnrolledHost]:
    """Enroll hosts in the store and give each its Redis user; ``strangers`` (id, key) get one without being there."""
    with writing(engine) as connection:
        hosts = [enroll(connection, f"host-{secrets.token_hex(4)}", now=time.time()) for _ in range(count)]
    with connect_to_enroll(redis_url) as client:
        ensure_redis_users(client, [*((host.id, host.key) for host in hosts), *strangers])
    return hosts


class SimulatedHost:
    """A collector but for what it reads; it pushes in a thread of its own, as the real one does."""

    def __init__(
        self,
        host: EnrolledHost,
        folder: Path,
        redis_url: str,
        spool_bytes: int = 64 * 1024 * 1024,
        interval_seconds: float = _INTERVAL_SECONDS,
    ) -> None:
        self.id = host.id
        self.ledger: Ledger = {}
        self.spool = Spool(folder, spool_bytes, time.time())
        self._random = random.Random(host.id)
        self._interval_seconds = interval_seconds
        link = Link(without_credentials(redis_url), host.id, host.key)
        desired = DesiredConfig(folder / "config.json")
        self._pusher = Pusher(host.id, host.key, link, self.spool, desired, interval_seconds)
        self._pushing = threading.Thread(target=self._pusher.run, args=(lambda: None,))
        self._pushing.start()

    def read(self) -> None:
        """Take a snapshot. Its values are possible for every metric, calm, and exact in float32."""
        values = tuple(self._random.randrange(160) / 4 for _ in CATALOGUE)
        now = time.time()
        core = pack_core({metric.name: value for metric, value in zip(CATALOGUE, values, strict=True)})
        sequence = self.send(Snapshot(SNAPSHOT_VERSION, now, self._interval_seconds, core))
        self.ledger[self.id, self.spool.incarnation, sequence] = values

    def send(self, snapshot: Snapshot) -> int:
        """Spool a snapshot and have it pushed; return its sequence number."""
        sequence = self.spool.append(encode_snapshot(snapshot), snapshot.taken_at)
        self._pusher.notify()
        return sequence

    def close(self) -> None:
        self._pusher.stop()
        self._pushing.join()
        self.spool.close()


class Fleet:
    """Hosts that all take a snapshot at this pace until they are told to rest."""

    def __init__(self, hosts: Sequence[SimulatedHost], reading_seconds: float) -> None:
        self.hosts = hosts
        self._reading_seconds = reading_seconds
        self._resting = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        while not self._resting.wait(self._reading_seconds):
            for host in self.hosts:
                host.read()

    def produced(self) -> int:
        return sum(len(host.ledger) for host in self.hosts)

    def acknowledged(self) -> int:
        return sum(host.spool.acknowledged for host in self.hosts)

    def wait_for_more(self, snapshots: int) -> None:
        """Wait until that many snapshots more are produced, whether they arrive or not."""
        enough = self.produced() + snapshots
        wait_until(lambda: self.produced() >= enough)

    def wait_for_progress(self) -> None:
        """Wait until something that is produced from now on is acknowledged for every host."""
        marks = [(host, host.spool.last) for host in self.hosts]
        wait_until(
            lambda: all(host.spool.acknowledged > mark for host, mark in marks),
            lambda: f"acknowledged: {[(host.id, host.spool.acknowledged, mark) for host, mark in marks]}",
        )

    def rest(self) -> None:
        """Produce no more."""
        self._resting.set()
        self._reading.join()

    def settle(self) -> Ledger:
        """Produce no more, wait until all is acknowledged, and return the ledger of all."""
        self.rest()
        wait_until(
            lambda: all(host.spool.acknowledged == host.spool.last for host in self.hosts),
            lambda: f"waiting: {[(host.id, host.spool.last - host.spool.acknowledged) for host in self.hosts]}",
        )
        return {key: values for host in self.hosts for key, values in host.ledger.items()}


@contextmanager
def running_fleet(
    engine: Engine, redis_url: str, folder: Path, count: int, reading_seconds: float = _READING_SECONDS
) -> Iterator[Fleet]:
    """Enroll hosts and let them produce until the block ends."""
    hosts = [
        SimulatedHost(host, folder / f"host-{host.id}", redis_url) for host in enroll_hosts(engine, redis_url, count)
    ]
    fleet = Fleet(hosts, reading_seconds)
    try:
        yield fleet
    finally:
        fleet.rest()
        for host in hosts:
            host.close()
