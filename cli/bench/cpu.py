"""CPU time of processes and all their descendants."""

from contextlib import suppress

import psutil


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process and its descendants used, those that ended and were reaped included.

    Counted in ticks of 10 ms. Raises psutil.NoSuchProcess where the process itself is gone.
    """
    process = psutil.Process(pid)
    total = _own_and_reaped(process)
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += _own_and_reaped(child)
    return total


def _own_and_reaped(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
