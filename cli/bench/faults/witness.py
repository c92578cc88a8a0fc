"""What passes the proxy, read along: the entries that hosts push, for the oracle and for whoever pushes them again.

It reads Redis' protocol and the entries by itself, not by the product's code.
"""

import threading
from collections import defaultdict, deque
from typing import NamedTuple

import msgspec

from cli.bench.faults.ledger import digest

_REMEMBERED = 300
_SNAPSHOT = 0


class Seen(NamedTuple):
    """An entry, and the list that it was pushed to."""

    inbox: bytes
    entry: bytes


class Witness:
    """Remembers the latest entries, and the digest of every body. Safe to use from several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._unread: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._latest: deque[Seen] = deque(maxlen=_REMEMBERED)
        self._bodies: set[tuple[int, str]] = set()

    def hear(self, connection: int, data: bytes) -> None:
        """Read on in what a connection sends."""
        unread = self._unread[connection]
        unread += data
        while (command := _next_command(unread)) is not None:
            if command[0] == b"RPUSH":
                with self._mutex:
                    self._note(command[1], command[2:])

    def latest(self) -> list[Seen]:
        """Return the latest entries, oldest first."""
        with self._mutex:
            return list(self._latest)

    def bodies(self) -> set[tuple[int, str]]:
        """Return host id and digest of every snapshot's body."""
        with self._mutex:
            return set(self._bodies)

    def _note(self, inbox: bytes, entries: list[bytes]) -> None:
        for entry in entries:
            self._latest.append(Seen(inbox, entry))
            host, _, _, _, kind, body, _ = msgspec.msgpack.decode(entry)
            if kind == _SNAPSHOT:
                self._bodies.add((host, digest(body)))


def _next_command(unread: bytearray) -> list[bytes] | None:
    """Take the next command off the front; None where it is not there whole."""
    line, end, _ = bytes(unread).partition(b"\r\n")
    if not end:
        return None
    place = len(line) + 2
    words = []
    for _ in range(int(line[1:])):
        end_of_line = unread.find(b"\r\n", place)
        if end_of_line < 0:
            return None
        length = int(unread[place + 1 : end_of_line])
        place = end_of_line + 2 + length + 2
        if place > len(unread):
            return None
        words.append(bytes(unread[end_of_line + 2 : end_of_line + 2 + length]))
    del unread[:place]
    return words
