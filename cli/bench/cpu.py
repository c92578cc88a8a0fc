"""CPU time of processes and all their descendants."""

import time
from contextlib import suppress

import psutil

_LOOPS = 5
_CPUCLOCK_SCHED = 2
"""The kernel's name for the time that the scheduler gave (linux/posix-timers_types.h)."""


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


def precise_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of all threads of one process, in nanoseconds' precision, and of its reaped children.

    On Linux only, by the clock that clock_getcpuclockid(3) names. Raises OSError where there is no such process.
    """
    reaped = psutil.Process(pid).cpu_times()
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) + float(reaped.children_user + reaped.children_system)


def loop_ms() -> float:
    """Return the milliseconds of CPU that a fixed loop of Python takes: tells a slow machine from slow code."""
    spent = []
    for _ in range(_LOOPS):
        before = time.process_time()
        sum(number * number for number in range(1_000_000))
        spent.append(time.process_time() - before)
    return round(1e3 * sorted(spent)[_LOOPS // 2], 1)


def _own_and_reaped(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
