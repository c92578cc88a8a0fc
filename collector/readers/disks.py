"""Disk activity: bytes, operations and busy time of physical disks."""

import math
import sys
from pathlib import Path

import psutil

from collector.rates import Counters, Reading, highest, rates, total
from collector.readers import MOST_DEVICES, Part
from collector.readers.procfs import read
from wire.snapshot import Disk
from wire.text import storable

_SECTOR_BYTES = 512
"""The unit of /proc/diskstats whatever the disk's own sector is (Documentation/admin-guide/iostats.rst)."""
_READ_BYTES, _WRITE_BYTES, _READS, _WRITES, _BUSY_SECONDS = range(5)
_OPTICAL_AND_FLOPPY = ("sr", "fd")


class Disks:
    """Activity of each physical disk since the reading before."""

    def __init__(self) -> None:
        self._before: Reading | None = None
        self._physical: dict[str, bool] = {}

    def read(self, at: float) -> Part:
        """Return the sums over all disks, the busiest one, and each disk."""
        now = Reading(at, self._linux() if sys.platform == "linux" else _elsewhere())
        moved = rates(self._before, now)
        self._before = now
        devices = moved.values()
        core = {
            "disk_read_bytes_per_second": total(devices, _READ_BYTES),
            "disk_write_bytes_per_second": total(devices, _WRITE_BYTES),
            "disk_read_operations_per_second": total(devices, _READS),
            "disk_write_operations_per_second": total(devices, _WRITES),
            "disk_busy_percent": _busy_percent(highest(devices, _BUSY_SECONDS)),
        }
        return Part(core, {"disks": tuple(_disk(name, moved.get(name)) for name in list(now.counters)[:MOST_DEVICES])})

    def _linux(self) -> dict[str, Counters]:
        counters = parse_diskstats(read("/proc/diskstats"))
        for name in counters.keys() - self._physical.keys():
            self._physical[name] = _is_physical(name)
        return {name: values for name, values in counters.items() if self._physical[name]}


def _disk(name: str, moved: Counters | None) -> Disk:
    read_bytes, write_bytes, reads, writes, busy_seconds = moved or (math.nan,) * 5
    return Disk(storable(name, 255), read_bytes, write_bytes, reads, writes, _busy_percent(busy_seconds))


def _busy_percent(seconds_per_second: float) -> float:
    # The kernel adds up busy time in ticks, so a full interval can come out a little above 100.
    return seconds_per_second if math.isnan(seconds_per_second) else min(100.0, 100 * seconds_per_second)


def parse_diskstats(text: bytes) -> dict[str, Counters]:
    """Read /proc/diskstats as counters by block device: bytes read and written, reads, writes, busy seconds."""
    counters: dict[str, Counters] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 14:
            reads, sectors_read, writes, sectors_written = fields[3], fields[5], fields[7], fields[9]
            counters[fields[2].decode("utf-8", "replace")] = (
                float(sectors_read) * _SECTOR_BYTES,
                float(sectors_written) * _SECTOR_BYTES,
                float(reads),
                float(writes),
                float(fields[12]) / 1000,
            )
    return counters


def _is_physical(name: str) -> bool:
    """Only a disk with a device behind it: what is stacked on one (dm, md, loop, zram) would count twice."""
    return not name.startswith(_OPTICAL_AND_FLOPPY) and Path("/sys/block", name.replace("/", "!"), "device").exists()


def _elsewhere() -> dict[str, Counters]:
    return {
        name: (disk.read_bytes, disk.write_bytes, disk.read_count, disk.write_count, math.nan)
        for name, disk in psutil.disk_io_counters(perdisk=True, nowrap=False).items()
    }
