"""The board: a small file in shared memory by which the bench and its simulated hosts know of each other.

The hosts write how far they are; the bench reads it, also after it has killed them. The bench writes by how much a
machine's clock is wrong, and whether its hosts are to rest.
"""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

_PROGRESS = struct.Struct("<qq")
_ORDERS = struct.Struct("<dq")


class Progress(NamedTuple):
    """How far a host is, in the spool's ordinals."""

    last: int
    acknowledged: int


class Board:
    """The board, for machines and hosts by number."""

    def __init__(self, file: Path, machines: int, hosts: int) -> None:
        """Open it, or make it empty where it is not there yet."""
        size = machines * _ORDERS.size + hosts * _PROGRESS.size
        if not file.exists():
            file.write_bytes(bytes(size))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), size)
        self._machines = machines
        self._hosts = hosts

    def report(self, host: int, progress: Progress) -> None:
        """Say how far a host is."""
        _PROGRESS.pack_into(self._memory, self._place_of(host), *progress)

    def progress(self) -> list[Progress]:
        """Return how far each host is."""
        return [Progress(*_PROGRESS.unpack_from(self._memory, self._place_of(host))) for host in range(self._hosts)]

    def step_clock(self, machine: int, seconds: float) -> None:
        """Set a machine's clock by this wrong."""
        _ORDERS.pack_into(self._memory, machine * _ORDERS.size, seconds, self.resting(machine))

    def clock_error(self, machine: int) -> float:
        """Return by how much a machine's clock is wrong, in seconds."""
        seconds, _ = _ORDERS.unpack_from(self._memory, machine * _ORDERS.size)
        return float(seconds)

    def rest(self) -> None:
        """Have all hosts take no more snapshots; they push what they have."""
        for machine in range(self._machines):
            _ORDERS.pack_into(self._memory, machine * _ORDERS.size, self.clock_error(machine), 1)

    def resting(self, machine: int) -> bool:
        """Say whether the hosts of this machine are to rest."""
        _, resting = _ORDERS.unpack_from(self._memory, machine * _ORDERS.size)
        return bool(resting)

    def _place_of(self, host: int) -> int:
        return self._machines * _ORDERS.size + host * _PROGRESS.size
