"""How near each resource is to being what everything waits for: a value with its limit, and a score from 0 to 100.

The same for one host and for all hosts at once: columns of values, one row a host. What was last counts in full, so
that a new trouble is seen at once; one that has just ended fades. Saturation counts beside utilisation, after Brendan
Gregg's USE method: a busy disk that nobody waits for is no trouble; swapping is, however little of the swap is in use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Resource = Literal["cpu", "memory", "swap", "disk_space", "disk_io", "network", "pressure", "process", "leak"]
Severity = Literal["low", "medium", "high", "critical"]

METRICS = (
    "cpu_percent",
    "cpu_iowait_percent",
    "cpu_steal_percent",
    "load_1",
    "memory_percent",
    "memory_total_bytes",
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
    "threads",
    "open_files",
    "pressure_cpu_percent",
    "pressure_memory_percent",
    "pressure_io_percent",
    "process_cpu_max_percent",
)
"""The core metrics that are looked at."""

LEAST_SCORE = 60.0
"""Of a resource that holds others back."""

PLACE = {name: place for place, name in enumerate(METRICS)}
"""Of a metric among them."""
_WEIGHT_OF_RECENT = 2 / 3


@dataclass(frozen=True)
class Averages:
    """Means of n hosts' METRICS (n, m), over all that is looked at and over the last of it; NaN for missing."""

    whole: Floats
    recent: Floats

    def of(self, name: str) -> Floats:
        """Return what was last, or where it was more before, something between the two."""
        whole, recent = self.whole[:, PLACE[name]], self.recent[:, PLACE[name]]
        mean: Floats = np.fmax(recent, _WEIGHT_OF_RECENT * recent + (1 - _WEIGHT_OF_RECENT) * whole)
        return mean


class _Measure(NamedTuple):
    """How a resource is judged; one whose metric ``needs`` is missing is not judged at all."""

    resource: Resource
    unit: str
    limit: float
    all_of_it: float
    """The value that scores 100; the limit scores 60."""
    needs: str
    value: Callable[["_Of"], Floats]


class _Of(Protocol):
    """Gives the means of a metric."""

    def __call__(self, name: str, missing: float = 0.0) -> Floats: ...


def _disk_io(of: _Of) -> Floats:
    # A disk that always has work may have room for more: somebody must wait for it, too; where that can be told.
    waited = np.maximum(3 * of("cpu_iowait_percent", missing=np.inf), of("pressure_io_percent"))
    return np.minimum(of("disk_busy_percent"), np.maximum(waited, of("disk_busy_percent") / 2))


def _swap(of: _Of) -> Floats:
    moved = (of("swap_in_bytes_per_second") + of("swap_out_bytes_per_second")) / 2**20
    return np.where(of("swap_percent") > 0, moved, np.nan)


_MEASURES = (
    # Time in which the CPU waits for a disk is the disk's.
    _Measure("cpu", "percent", 85, 100, "cpu_percent", lambda of: of("cpu_percent") - of("cpu_iowait_percent")),
    _Measure("memory", "percent", 90, 100, "memory_percent", lambda of: of("memory_percent")),
    _Measure("swap", "MiB/s", 10, 50, "swap_percent", _swap),
    # What is full breaks, but until then nothing waits for it: it comes after what everything waits for.
    _Measure(
        *("disk_space", "percent", 85, 105, "disk_percent"),
        lambda of: np.maximum(of("disk_percent"), of("disk_inodes_percent")),
    ),
    _Measure("disk_io", "percent", 80, 100, "disk_busy_percent", _disk_io),
    _Measure(
        *("network", "1/s", 20, 200, "network_receive_bytes_per_second"),
        lambda of: of("network_errors_per_second") + of("network_drops_per_second") + of("tcp_retransmits_per_second"),
    ),
    # It tells that something waits; what for is the better answer where one is found.
    _Measure(
        *("pressure", "percent", 60, 100, "pressure_cpu_percent"),
        lambda of: (
            0.9
            * np.maximum.reduce([of("pressure_cpu_percent"), of("pressure_memory_percent"), of("pressure_io_percent")])
        ),
    ),
)
RESOURCES: tuple[Resource, ...] = tuple(one.resource for one in _MEASURES)
"""Those that are judged by their value alone."""
UNITS: Mapping[Resource, str] = {one.resource: one.unit for one in _MEASURES}


class Judged(NamedTuple):
    """A resource of a host: its value and what that is judged by."""

    resource: Resource
    value: float
    unit: str
    limit: float
    score: float
    severity: Severity


def values(averages: Averages) -> Floats:
    """Return the value of each of RESOURCES of each host (n, r), NaN where it is not measured."""

    def of(name: str, missing: float = 0.0) -> Floats:
        mean = averages.of(name)
        return np.where(np.isnan(mean), missing, mean)

    columns = [np.where(np.isnan(averages.of(one.needs)), np.nan, one.value(of)) for one in _MEASURES]
    return np.stack(columns, axis=1)


def scores(found: Floats) -> Floats:
    """Return the score of each value (n, r), NaN for NaN."""
    limit = np.array([one.limit for one in _MEASURES])
    all_of_it = np.array([one.all_of_it for one in _MEASURES])
    below = LEAST_SCORE * np.maximum(found, 0.0) / limit * 0.999
    above = LEAST_SCORE + (100.0 - LEAST_SCORE) * np.minimum((found - limit) / (all_of_it - limit), 1.0)
    score: Floats = np.where(found <= limit, below, above)
    return score


def judge(averages: Averages) -> dict[Resource, Judged]:
    """Judge the resources of the one host that these averages are of."""
    found = values(averages)
    each = zip(_MEASURES, found[0].tolist(), scores(found)[0].tolist(), strict=True)
    return {
        one.resource: Judged(one.resource, value, one.unit, one.limit, score, severity_of(score))
        for one, value, score in each
        if value == value
    }


def severity_of(score: float) -> Severity:
    """Return how bad a score is."""
    return "critical" if score > 80 else "high" if score >= LEAST_SCORE else "medium" if score > 45 else "low"
