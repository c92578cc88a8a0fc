"""A machine: a process of many simulated hosts, each with the collector's own spool, link and pusher.

Only what they read is made up (``cli.bench.faults.life``). Started by the bench with the path of its orders, killed and
started again; it goes on from its ledgers and spools, as a collector does from its spool. Its clock is the system's, by
as much wrong as the board says.
"""

import logging
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from cli.bench.faults.board import Board, Progress
from cli.bench.faults.ledger import Ledger, Place
from cli.bench.faults.life import INTERVAL_SECONDS, read
from collector.desired import DesiredConfig
from collector.link import Link
from collector.push import Pusher
from collector.spool import Spool
from wire.logs import log_to_stderr

READING_SECONDS = 0.25
"""Between two snapshots of a host, in real time."""
_PUSHING_SECONDS = 0.5
_REPORT_SECONDS = 0.02


class HostOrders(msgspec.Struct):
    """One host of a machine."""

    place: int
    id: int
    key: bytes
    spool: str
    """The folder."""
    ledger: str
    """The file."""
    spool_bytes: int


class Orders(msgspec.Struct):
    """What a machine is told, in a file that only its owner can read."""

    machine: int
    machines: int
    fleet: int
    """The number of hosts of all machines."""
    board: str
    redis_url: str
    first_taken_at: float
    hosts: list[HostOrders]


class _Host:
    def __init__(self, orders: HostOrders, redis_url: str, first_taken_at: float) -> None:
        self.place = orders.place
        self._first_taken_at = first_taken_at
        self._ledger = Ledger(Path(orders.ledger))
        folder = Path(orders.spool)
        self._spool = Spool(folder, orders.spool_bytes, time.time())
        link = Link(redis_url, orders.id, orders.key)
        desired = DesiredConfig(folder / "config.json")
        self._pusher = Pusher(orders.id, orders.key, link, self._spool, desired, _PUSHING_SECONDS)
        self._pushing = threading.Thread(target=self._pusher.run, args=(lambda: None,), daemon=True)
        self._pushing.start()

    def take(self, clock_error: float) -> None:
        number = self._ledger.last + 1
        taken_at = self._first_taken_at + number * INTERVAL_SECONDS + clock_error
        reading = read(self.place, number, taken_at)
        self._ledger.begin(number, reading.core, reading.body)
        sequence = self._spool.append(reading.body, taken_at)
        self._ledger.kept(number, Place(self._spool.incarnation, sequence, self._spool.last))
        self._pusher.notify()

    def progress(self) -> Progress:
        return Progress(self._spool.last, self._spool.acknowledged)

    def is_pushing(self) -> bool:
        return self._pushing.is_alive()

    def close(self) -> None:
        self._pusher.stop()
        self._pushing.join(5)
        self._spool.close()
        self._ledger.close()


def main(orders_file: Path) -> int:
    """Run until SIGTERM; returns the exit code, 1 where a host no longer pushes."""
    log_to_stderr(logging.INFO)
    orders = msgspec.json.decode(orders_file.read_bytes(), type=Orders)
    board = Board(Path(orders.board), orders.machines, orders.fleet)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    system_time = time.time
    time.time = lambda: system_time() + board.clock_error(orders.machine)
    hosts = [_Host(one, orders.redis_url, orders.first_taken_at) for one in orders.hosts]
    due = time.monotonic()
    while not stopping.wait(_REPORT_SECONDS):
        if time.monotonic() >= due and not board.resting(orders.machine):
            due = max(due + READING_SECONDS, time.monotonic())
            for host in hosts:
                host.take(board.clock_error(orders.machine))
        for host in hosts:
            board.report(host.place, host.progress())
        if not all(host.is_pushing() for host in hosts):
            return 1
    for host in hosts:
        host.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
