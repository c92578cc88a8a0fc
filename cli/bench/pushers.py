"""Processes that push what simulated hosts take, each host at its own moment of the interval, as collectors do.

A push is a packet of its own with the entry and the three questions that belong to it, over one of 64 connections of
each process with a collector's rights; real collectors have a connection each, and send no less.
"""

import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import hiredis

from cli.bench.fleet import SimulatedFleet
from wire import keys
from wire.entry import seal

INCARNATION = 1

_CONNECTIONS = 64
# Snapshots are made so many at a time: NumPy is slow on few.
_BLOCK = 512
_PAUSE_SECONDS = 0.002
_PACKET = (
    b"*3\r\n$5\r\nRPUSH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
    b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n"
)
_REPLIES = 4


@dataclass(frozen=True)
class Target:
    """The Redis that is pushed to, and a user with a collector's rights for all hosts."""

    port: int
    user: str
    password: str


@dataclass(frozen=True)
class Share:
    """The hosts of one process and how they push. Each pushes ``rounds`` times, once an interval."""

    host_ids: Sequence[int]
    keys: Sequence[bytes]
    rounds: int
    interval_seconds: float
    processes: int
    """Listed in a snapshot by CPU, and as many by memory."""


@dataclass(frozen=True)
class Pushed:
    """What one process did."""

    snapshots: int
    latest_seconds: float
    """How far it was behind its hosts' moments at the worst."""
    asked_to_wait: int
    """Pushes whose answer was that the inbox is over its cap."""


@contextmanager
def running_pushers(shares: Sequence[Share], target: Target) -> Iterator["Pushers"]:
    """Start a process for each share; they end with the block."""
    spawning = multiprocessing.get_context("spawn")
    started = []
    try:
        for share in shares:
            here, there = spawning.Pipe()
            process = spawning.Process(target=_run, args=(share, target, there), daemon=True)
            process.start()
            started.append((process, here))
        yield Pushers([here for _, here in started], [process.pid or 0 for process, _ in started])
    finally:
        for process, _ in started:
            process.kill()
            process.join()


class Pushers:
    """Running pushers."""

    def __init__(self, pipes: "Sequence[Connection[float, Pushed | None]]", pids: Sequence[int]) -> None:
        """Speak with them through these pipes."""
        self._pipes = pipes
        self.pids = pids

    def begin(self) -> None:
        """Wait until all have made their hosts and let them push from now on. Raises EOFError where one has ended."""
        for pipe in self._pipes:
            pipe.recv()
        for pipe in self._pipes:
            pipe.send(time.time())

    def is_done(self) -> bool:
        """Say whether all have pushed everything."""
        return all(pipe.poll() for pipe in self._pipes)

    def results(self) -> list[Pushed]:
        """Wait for what each of them did. Raises EOFError where one has ended."""
        return [pushed for pushed in (pipe.recv() for pipe in self._pipes) if pushed is not None]


def _run(share: Share, target: Target, pipe: "Connection[Pushed | None, float]") -> None:
    fleet = SimulatedFleet(len(share.host_ids), share.processes)
    lines = [_Line(target) for _ in range(_CONNECTIONS)]
    names = [_names(host_id) for host_id in share.host_ids]
    pipe.send(None)
    began = pipe.recv()
    hosts = len(share.host_ids)
    pace = share.interval_seconds / hosts
    latest = 0.0
    pushed = 0
    while pushed < share.rounds * hosts:
        number, first = divmod(pushed, hosts)
        moments = [began + place * pace for place in range(pushed, pushed + min(_BLOCK, hosts - first))]
        bodies = fleet.bodies_of(first, number, moments, share.interval_seconds)
        waiting = 0
        for place, (body, moment) in enumerate(zip(bodies, moments, strict=True), first):
            while (now := time.time()) < moment:
                _answered(lines[:waiting])
                waiting = 0
                time.sleep(_PAUSE_SECONDS)
            latest = max(latest, now - moment)
            entry = seal(share.keys[place], share.host_ids[place], INCARNATION, number + 1, now, body)
            inbox, ack, config, full = names[place]
            lines[waiting].send(
                _PACKET % (len(inbox), inbox, len(entry), entry, len(ack), ack, len(config), config, len(full), full)
            )
            waiting += 1
            if waiting == len(lines):
                _answered(lines)
                waiting = 0
        _answered(lines[:waiting])
        pushed += len(moments)
    pipe.send(Pushed(pushed, latest, sum(line.asked_to_wait for line in lines)))
    # Its CPU time is read while it lives.
    pipe.recv()


def _names(host_id: int) -> tuple[bytes, bytes, bytes, bytes]:
    shard = keys.shard_of(host_id)
    inbox, ack, config, full = keys.inbox(shard), keys.ack(host_id), keys.config(host_id), keys.full(shard)
    return inbox.encode(), ack.encode(), config.encode(), full.encode()


def _answered(lines: Sequence["_Line"]) -> None:
    for line in lines:
        line.receive()


class _Line:
    """One connection, signed in."""

    def __init__(self, target: Target) -> None:
        self.asked_to_wait = 0
        self._socket = socket.create_connection(("127.0.0.1", target.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        self._socket.sendall(f"AUTH {target.user} {target.password}\r\n".encode())
        self._socket.recv(100)

    def send(self, packet: bytes) -> None:
        self._socket.sendall(packet)

    def receive(self) -> None:
        """Read the replies to one push. Raises hiredis.ReplyError."""
        left = _REPLIES
        reply: object = None
        while left:
            self._reader.feed(self._socket.recv(4096))
            while left and (reply := self._reader.gets()) is not False:
                if isinstance(reply, hiredis.ReplyError):
                    raise reply
                left -= 1
        self.asked_to_wait += reply is not None
