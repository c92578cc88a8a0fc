"""Snapshots for the tests of the rules: details in a few words, and the core vector that a collector would send."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wire.metrics import CATALOGUE, INDEX
from wire.snapshot import Details, Filesystem, Process
from worker.detection.batch import Batch


class Seen(NamedTuple):
    """One snapshot as the rules see it."""

    taken_at: float
    core: dict[str, float]
    details: Details = Details()


def filesystem(mount: str, used_percent: float) -> Filesystem:
    return Filesystem(mount, "/dev/sda1", "ext4", 100e9, used_percent * 1e9, used_percent)


def process(pid: int, name: str, cpu_percent: float = 0.0, memory_percent: float = 0.0) -> Process:
    return Process(pid, 1.7e9, name, "root", cpu_percent, memory_percent, memory_percent * 1e8, f"/usr/bin/{name}")


NO_DETAILS = Details()


def seen(taken_at: float, details: Details = NO_DETAILS, **core: float) -> Seen:
    """Return a snapshot whose core vector says of the details what a collector would."""
    worst = {
        "disk_percent": [one.used_percent for one in details.filesystems],
        "process_memory_max_percent": [one.memory_percent for one in details.processes_by_memory],
    }
    counted = {
        "services_not_running": [not one.running and one.state != "unknown" for one in details.services],
        "disks_failing": [one.failing for one in details.disk_health],
    }
    derived = {name: max(values) for name, values in worst.items() if values}
    derived |= {name: float(sum(values)) for name, values in counted.items()}
    return Seen(taken_at, derived | core, details)


def batch(*hosts: Sequence[Seen], previous_cpu_percent: Sequence[float] = ()) -> Batch:
    """Return the batch of these hosts' snapshots, in this order."""
    rows = [one for host in hosts for one in host]
    core = np.full((len(rows), len(CATALOGUE)), np.nan, np.float32)
    for row, one in enumerate(rows):
        for name, value in one.core.items():
            core[row, INDEX[name]] = value
    return Batch(
        host=np.repeat(np.arange(len(hosts), dtype=np.int64), [len(host) for host in hosts]),
        taken_at=np.array([one.taken_at for one in rows], np.float64),
        core=core,
        previous_cpu_percent=np.array(previous_cpu_percent or [math.nan] * len(hosts), np.float32),
    )
