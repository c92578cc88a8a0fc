"""What was seen of each resource of a host, in words and as a score. Pure.

A score from 0 to 100 tells how near a resource is to being what everything waits for. What was last counts in full, so
that a new trouble is seen at once; one that has just ended fades. Saturation counts beside utilisation,
after Brendan Gregg's USE method: a busy disk that nobody waits for is no trouble; swapping is, however little of the
swap is in use.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wire.snapshot import Details, Process

Resource = Literal["cpu", "memory", "swap", "disk_space", "disk_io", "network", "pressure"]
Severity = Literal["low", "medium", "high", "critical"]

METRICS = (
    "cpu_percent",
    "cpu_iowait_percent",
    "cpu_steal_percent",
    "load_1",
    "memory_percent",
    "memory_available_bytes",
    "swap_percent",
    "swap_in_bytes_per_second",
    "swap_out_bytes_per_second",
    "disk_percent",
    "disk_inodes_percent",
    "disk_busy_percent",
    "disk_read_bytes_per_second",
    "disk_write_bytes_per_second",
    "network_receive_bytes_per_second",
    "network_transmit_bytes_per_second",
    "network_errors_per_second",
    "network_drops_per_second",
    "tcp_retransmits_per_second",
    "pressure_cpu_percent",
    "pressure_memory_percent",
    "pressure_io_percent",
)
"""The core metrics that are looked at."""

LEAST_SCORE = 60.0
"""Of a resource that holds others back."""
MOST_NAMED = 3
"""Processes and filesystems that a text names."""

_WEIGHT_OF_RECENT = 2 / 3


@dataclass(frozen=True)
class Average:
    """A metric's mean over the whole range, and over the last of it."""

    whole: float
    recent: float

    @property
    def weighted(self) -> float:
        """What was last, or where it was more before, something between the two."""
        return max(self.recent, _WEIGHT_OF_RECENT * self.recent + (1 - _WEIGHT_OF_RECENT) * self.whole)


@dataclass(frozen=True)
class Finding:
    """What was seen of one resource: in words, and the number behind them with what it is judged by."""

    resource: Resource
    text: str
    value: float
    unit: str
    limit: float
    severity: Severity
    score: float
    """From 0 to 100: how near it is to holding everything back."""


class Seen:
    """What is known of a host: the averages of its metrics, where one that is missing has none, and its details."""

    def __init__(self, averages: Mapping[str, Average], details: Details) -> None:
        self._averages = averages
        self.details = details

    def get(self, name: str) -> float:
        """Return a metric's weighted mean, 0 where it is missing."""
        average = self._averages.get(name)
        return 0.0 if average is None or not math.isfinite(average.weighted) else average.weighted

    def has(self, name: str) -> bool:
        """Say whether the host has a metric."""
        return name in self._averages

    def last(self, name: str) -> float:
        """Return a metric's mean over the last of the range, 0 where it is missing."""
        average = self._averages.get(name)
        return 0.0 if average is None or not math.isfinite(average.recent) else average.recent

    def whole(self, name: str) -> float:
        """Return a metric's mean over the whole range, 0 where it is missing."""
        average = self._averages.get(name)
        return 0.0 if average is None or not math.isfinite(average.whole) else average.whole

    def by_cpu(self) -> list[Process]:
        """Return its busiest processes."""
        return sorted(self.details.processes_by_cpu, key=lambda one: -finite(one.cpu_percent))[:MOST_NAMED]

    def by_memory(self) -> list[Process]:
        """Return its largest processes."""
        return sorted(self.details.processes_by_memory, key=lambda one: -finite(one.memory_percent))[:MOST_NAMED]


def findings(seen: Seen) -> list[Finding]:
    """Return what was seen of each resource that the host has metrics of, the worst first."""
    looks = (_cpu, _memory, _swap, _disk_space, _disk_io, _network, _pressure)
    found = [finding for look in looks if (finding := look(seen)) is not None]
    return sorted(found, key=lambda finding: -finding.score)


def _cpu(seen: Seen) -> Finding | None:
    if not seen.has("cpu_percent"):
        return None
    percent, iowait, steal = seen.get("cpu_percent"), seen.get("cpu_iowait_percent"), seen.get("cpu_steal_percent")
    cpus = seen.details.cpu_count
    text = (
        f"CPU was busy at {seen.last('cpu_percent'):.0f} % in the last half minute, at "
        f"{seen.whole('cpu_percent'):.0f} % in the last quarter of an hour"
    )
    if cpus:
        text += f" ({cpus} CPU{'s' if cpus > 1 else ''}, load {seen.last('load_1'):.1f})"
    busiest = ", ".join(
        f"{one.name} (pid {one.pid}) at {one.cpu_percent:.0f} %" for one in seen.by_cpu() if one.cpu_percent >= 1
    )
    if busiest:
        text += f"; the busiest, in percent of one CPU: {busiest}"
    if steal >= 10:
        text += f"; the hypervisor took {steal:.0f} % away"
    # Time in which the CPU waits for a disk is the disk's.
    return _finding("cpu", text, percent - iowait, "percent", 85.0, 100.0)


def _memory(seen: Seen) -> Finding | None:
    if not seen.has("memory_percent"):
        return None
    percent = seen.get("memory_percent")
    text = (
        f"Memory was used at {seen.last('memory_percent'):.0f} %, "
        f"{_bytes(seen.last('memory_available_bytes'))} are available"
    )
    biggest = ", ".join(
        f"{one.name} (pid {one.pid}) holds {one.memory_percent:.0f} %"
        for one in seen.by_memory()
        if one.memory_percent >= 1
    )
    if biggest:
        text += f"; {biggest}"
    return _finding("memory", text, percent, "percent", 90.0, 100.0)


def _swap(seen: Seen) -> Finding | None:
    moved = seen.get("swap_in_bytes_per_second") + seen.get("swap_out_bytes_per_second")
    if not seen.has("swap_percent") or seen.get("swap_percent") <= 0:
        return None
    text = f"Swap is used at {seen.last('swap_percent'):.0f} %, and {_bytes(moved)}/s go in and out"
    return _finding("swap", text, moved / 2**20, "MiB/s", 10.0, 50.0)


def _disk_space(seen: Seen) -> Finding | None:
    if not seen.has("disk_percent"):
        return None
    inodes, percent = seen.last("disk_inodes_percent"), seen.last("disk_percent")
    filesystems = [one for one in seen.details.filesystems if math.isfinite(one.used_percent)]
    fullest = max(filesystems, key=lambda one: one.used_percent, default=None)
    text = f"The fullest filesystem is used at {percent:.0f} %"
    if fullest is not None:
        left = _bytes(fullest.size_bytes - fullest.used_bytes)
        text = f"{fullest.mount} is used at {fullest.used_percent:.0f} %, with {left} left"
    if inodes > percent:
        text += f"; {inodes:.0f} % of the inodes of one filesystem are used"
    # What is full breaks, but until then nothing waits for it: it comes after what everything waits for.
    return _finding("disk_space", text, max(percent, inodes), "percent", 85.0, 105.0)


def _disk_io(seen: Seen) -> Finding | None:
    if not seen.has("disk_busy_percent"):
        return None
    busy, waiting = seen.get("disk_busy_percent"), seen.get("cpu_iowait_percent")
    text = (
        f"The busiest disk had work for {seen.last('disk_busy_percent'):.0f} % of the time, CPUs waited for disks for "
        f"{seen.last('cpu_iowait_percent'):.0f} %; {_bytes(seen.last('disk_read_bytes_per_second'))}/s read, "
        f"{_bytes(seen.last('disk_write_bytes_per_second'))}/s written"
    )
    # A disk that always has work may have room for more: somebody must wait for it, too.
    waited = max(waiting * 3, seen.get("pressure_io_percent"))
    value = busy if not seen.has("cpu_iowait_percent") else min(busy, max(waited, busy / 2))
    return _finding("disk_io", text, value, "percent", 80.0, 100.0)


def _network(seen: Seen) -> Finding | None:
    if not seen.has("network_receive_bytes_per_second"):
        return None
    bad = seen.get("network_errors_per_second") + seen.get("network_drops_per_second")
    again = seen.get("tcp_retransmits_per_second")
    text = (
        f"{_bytes(seen.last('network_receive_bytes_per_second'))}/s came in and "
        f"{_bytes(seen.last('network_transmit_bytes_per_second'))}/s went out; {bad:.1f} packets a second were lost "
        f"or broken, {again:.1f} TCP segments sent again"
    )
    return _finding("network", text, bad + again, "1/s", 20.0, 200.0)


def _pressure(seen: Seen) -> Finding | None:
    waits = {name: seen.get(f"pressure_{name}_percent") for name in ("cpu", "memory", "io")}
    if not any(seen.has(f"pressure_{name}_percent") for name in waits):
        return None
    worst = max(waits, key=lambda name: waits[name])
    what = {"cpu": "a CPU", "memory": "memory", "io": "a disk"}[worst]
    text = f"Some task waited for {what} for {seen.last(f'pressure_{worst}_percent'):.0f} % of the time"
    # It tells that something waits; what for is the better answer where one is found.
    return _finding("pressure", text, waits[worst] * 0.9, "percent", 60.0, 100.0)


def _finding(resource: Resource, text: str, value: float, unit: str, limit: float, all_of_it: float) -> Finding:
    """Return a finding whose score is 60 at the limit, 100 at ``all_of_it``."""
    if value <= limit:
        score = LEAST_SCORE * max(value, 0.0) / limit * 0.999
    else:
        score = LEAST_SCORE + (100.0 - LEAST_SCORE) * min((value - limit) / (all_of_it - limit), 1.0)
    midpoint = (limit + all_of_it) / 2
    severity: Severity = (
        "critical" if value > midpoint else "high" if value > limit else "medium" if score > 45 else "low"
    )
    return Finding(resource, text, round(value, 1), unit, limit, severity, round(score, 1))


def finite(value: float) -> float:
    """Return the value, 0 where it is none."""
    return value if math.isfinite(value) else 0.0


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
