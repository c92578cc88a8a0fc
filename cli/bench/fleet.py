"""A simulated fleet: hosts with plausible values that vary slowly, of which some have something wrong."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from wire.metrics import CATALOGUE, INDEX, Metric
from wire.snapshot import (
    SNAPSHOT_VERSION,
    Details,
    Disk,
    Filesystem,
    Interface,
    Process,
    Snapshot,
    encode_details,
    encode_snapshot,
)

INTERVAL_SECONDS = 30.0
"""The pace of the simulated collectors."""
TROUBLED_ROUNDS = 3
"""For so many rounds the same hosts have something wrong, then others: events open and resolve."""
HOSTS_TO_ONE_TROUBLED = 50

_SEED = 1
_USUAL_BY_UNIT = {
    "percent": (1.0, 40.0),
    "bytes": (1e8, 1e10),
    "bytes/s": (1e3, 1e7),
    "1/s": (1.0, 5e3),
    "1": (1.0, 500.0),
    "seconds": (1e5, 1e7),
    "celsius": (30.0, 60.0),
}
# Where the usual of the unit would be an event.
_USUAL_BY_NAME = {
    "process_memory_max_percent": (1.0, 15.0),
    "services_not_running": (0.0, 0.0),
    "disks_failing": (0.0, 0.0),
}
# Hosts share details: to encode them for each would cost more than all the rest, and nobody compares them.
_DETAILS = 128
_GIB = 2.0**30
_WRONG_PERCENT = 96.0


class SimulatedFleet:
    """Hosts by their place, 0 to ``size`` - 1. The same arguments give the same values."""

    def __init__(self, size: int, processes: int) -> None:
        """Draw the hosts; their snapshots list ``processes`` by CPU and as many by memory."""
        self._processes = processes
        self._random = np.random.default_rng(_SEED)
        low, high = np.array([_usual(metric) for metric in CATALOGUE], np.float32).T
        self._level = low + (high - low) * self._random.random((size, len(CATALOGUE)), np.float32)
        self._phase = self._random.random((size, len(CATALOGUE)), np.float32)
        self._usual, self._of_busy, self._of_full = (
            [self._details(place, cpu, disk) for place in range(_DETAILS)]
            for cpu, disk in ((20.0, 50.0), (_WRONG_PERCENT, 50.0), (20.0, _WRONG_PERCENT))
        )

    def bodies(self, number: int, taken_at: float) -> Iterator[bytes]:
        """Yield every host's snapshot of round ``number``, taken within one interval up to ``taken_at``."""
        size = len(self._level)
        times = [taken_at - INTERVAL_SECONDS * (1 - (place + 1) / size) for place in range(size)]
        yield from self.bodies_of(0, number, times, INTERVAL_SECONDS)

    def bodies_of(self, first: int, number: int, taken_at: Sequence[float], interval_seconds: float) -> Iterator[bytes]:
        """Yield the snapshots of round ``number`` of the hosts from ``first`` on, one for each time given."""
        places = slice(first, first + len(taken_at))
        core = self._level[places] * (
            1 + np.float32(0.05) * np.sin(2 * np.pi * self._phase[places] + np.float32(number / 5))
        )
        busy, full = (wrong[places] for wrong in troubled(places.stop, number))
        core[busy, INDEX["cpu_percent"]] = _WRONG_PERCENT
        core[busy, INDEX["process_cpu_max_percent"]] = _WRONG_PERCENT
        core[full, INDEX["disk_percent"]] = _WRONG_PERCENT
        packed = core.astype("<f4").tobytes()
        stride = core.shape[1] * 4
        for row, at in enumerate(taken_at):
            source = self._of_busy if busy[row] else self._of_full if full[row] else self._usual
            yield encode_snapshot(
                Snapshot(
                    SNAPSHOT_VERSION,
                    at,
                    interval_seconds,
                    packed[row * stride : (row + 1) * stride],
                    source[(first + row) % _DETAILS],
                )
            )

    def _details(self, place: int, cpu_percent: float, disk_percent: float) -> msgspec.Raw:
        some = [float(value) for value in self._random.random(8)]
        processes = tuple(
            Process(
                1000 + 7 * number, 1.7e9 + place, f"task-{number}", "app", cpu_percent / (1 + number), 4.0, _GIB / 4
            )
            for number in range(self._processes)
        )
        details = Details(
            filesystems=(
                Filesystem("/", "/dev/sda1", "ext4", 50 * _GIB, 25 * _GIB, 50 * some[0], 5.0),
                Filesystem("/srv", "/dev/sdb1", "xfs", 100 * _GIB, disk_percent * _GIB, disk_percent, 3.0),
            ),
            disks=tuple(
                Disk(name, 1e6 * some[1], 2e6 * some[2], 50 * some[3], 90 * some[4], 20 * some[5])
                for name in ("sda", "sdb")
            ),
            interfaces=tuple(Interface(name, 1e5 * some[6], 1e5 * some[7], 0.0, 0.0) for name in ("eth0", "eth1")),
            processes_by_cpu=processes,
            processes_by_memory=processes,
            cpu_count=4,
            platform="linux",
        )
        return encode_details(details)


def troubled(size: int, number: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which hosts have a busy CPU in round ``number`` and which a full disk: together 2 % of them."""
    place = np.arange(size)
    wrong = (place // 2 + number // TROUBLED_ROUNDS) % HOSTS_TO_ONE_TROUBLED == 0
    return wrong & (place % 2 == 0), wrong & (place % 2 == 1)


def _usual(metric: Metric) -> tuple[float, float]:
    return _USUAL_BY_NAME.get(metric.name, _USUAL_BY_UNIT[metric.unit])
