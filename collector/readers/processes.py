"""Processes: how many, and the top ones by CPU and by memory.

All processes are read once a snapshot, so on Linux it is /proc/PID/stat alone for each (psutil costs ten times as
much); owner and command line are read for the top ones only.
"""

import heapq
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import psutil

from collector.readers import Part
from collector.readers.procfs import read
from collector.readers.system import boot_time
from wire.snapshot import Process
from wire.text import storable

TOP = 10
MOST_NAME = 255
MOST_COMMAND = 512
_LEAST_AGE_SECONDS = 0.1
"""A process younger than this is rated as if it were this old: CPU time comes in ticks of 10 ms."""
_COMM_BYTES = 15
"""The kernel cuts a process' name here."""


class Usage(NamedTuple):
    """What one process has used. ``started`` is in seconds since boot (Linux) or Unix seconds (elsewhere):
    with the pid it names the process, as a pid is used again.
    """

    pid: int
    started: float
    cpu_seconds: float
    memory_bytes: int
    threads: int
    name: bytes


class Processes:
    """The host's processes since the reading before."""

    def __init__(self) -> None:
        self._scan = Scan()
        self._before: Mapping[int, Usage] | None = None
        self._before_at = 0.0
        self._total_memory = psutil.virtual_memory().total
        self._cpus = psutil.cpu_count() or 1

    def read(self, at: float) -> Part:
        """Return the number of processes and threads, the largest shares, and the top processes.

        A process born since the reading before is rated from its start. At the first reading nothing is rated.
        """
        usages = self._scan.usages()
        rated = cpu_percents(usages, self._before, at - self._before_at, _now())
        self._before = {usage.pid: usage for usage in usages}
        self._before_at = at

        by_memory = heapq.nlargest(TOP, zip(usages, rated, strict=True), key=lambda pair: pair[0].memory_bytes)
        busy = [(usage, percent) for usage, percent in zip(usages, rated, strict=True) if percent > 0]
        by_cpu = heapq.nlargest(TOP, busy, key=lambda pair: (pair[1], pair[0]))
        core = {
            "processes": float(len(usages)),
            "threads": float(sum(usage.threads for usage in usages)),
        }
        if by_memory:
            core["process_memory_max_percent"] = 100 * by_memory[0][0].memory_bytes / self._total_memory
        if rated and not math.isnan(rated[0]):
            core["process_cpu_max_percent"] = min(100.0, by_cpu[0][1] / self._cpus) if by_cpu else 0.0
        described = {
            usage.pid: _describe(usage, percent, self._total_memory) for usage, percent in (*by_memory, *by_cpu)
        }
        return Part(
            core,
            {
                "processes_by_cpu": tuple(described[usage.pid] for usage, _ in by_cpu),
                "processes_by_memory": tuple(described[usage.pid] for usage, _ in by_memory if usage.memory_bytes),
            },
        )


def cpu_percents(
    usages: Iterable[Usage], before: Mapping[int, Usage] | None, elapsed: float, now: float
) -> list[float]:
    """Return each process' CPU as a percentage of one CPU, in the order of ``usages``.

    ``before`` is what they had used by pid ``elapsed`` seconds ago; None makes everything NaN. ``now`` counts as
    ``Usage.started`` does. A process that ``before`` does not have is rated from its start.
    """
    if before is None or elapsed <= 0:
        return [math.nan for _ in usages]
    percents = []
    for usage in usages:
        known = before.get(usage.pid)
        if known is usage:
            percents.append(0.0)
        elif known is not None and known.started == usage.started:
            percents.append(100 * max(0.0, usage.cpu_seconds - known.cpu_seconds) / elapsed)
        else:
            percents.append(100 * usage.cpu_seconds / max(_LEAST_AGE_SECONDS, now - usage.started))
    return percents


def parse_stat(stat: bytes, ticks_per_second: float, page_bytes: int) -> Usage:
    """Read /proc/PID/stat, proc(5). The name may hold anything, brackets too. Raises ValueError or IndexError."""
    opening, closing = stat.index(b"("), stat.rindex(b")")
    fields = stat[closing + 2 :].split(b" ", 22)
    return Usage(
        pid=int(stat[:opening]),
        started=int(fields[19]) / ticks_per_second,
        cpu_seconds=(int(fields[11]) + int(fields[12])) / ticks_per_second,
        memory_bytes=max(0, int(fields[21])) * page_bytes,
        threads=int(fields[17]),
        name=stat[opening + 1 : closing],
    )


if sys.platform == "linux":
    import pwd

    _TICKS_PER_SECOND = float(os.sysconf("SC_CLK_TCK"))
    _PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
    _users: dict[int, str] = {}

    def _now() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    class Scan:
        """Reads all processes. What one did nothing since has the same bytes as before, and so the same usage."""

        def __init__(self) -> None:
            self._read: dict[str, tuple[bytes, Usage]] = {}

        def usages(self) -> list[Usage]:
            """Return what each process has used."""
            before, self._read = self._read, {}
            for pid in os.listdir("/proc"):  # noqa: PTH208 - a Path for each costs more than the rest
                if pid.isdigit():
                    try:
                        stat = read(f"/proc/{pid}/stat", 1024)
                        known = before.get(pid)
                        if known is None or known[0] != stat:
                            known = stat, parse_stat(stat, _TICKS_PER_SECOND, _PAGE_BYTES)
                    except (OSError, ValueError, IndexError):
                        # It ended meanwhile.
                        continue
                    self._read[pid] = known
            return [usage for _, usage in self._read.values()]

    def _user(uid: int) -> str:
        """Return the name of a user, asked for once: behind it can stand a directory server."""
        if uid not in _users:
            try:
                _users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                _users[uid] = str(uid)
        return _users[uid]

    def _describe(usage: Usage, percent: float, total_memory: int) -> Process:
        try:
            arguments = os.fsdecode(read(f"/proc/{usage.pid}/cmdline", 4096)).rstrip("\0").split("\0")
            user = _user(os.stat(f"/proc/{usage.pid}").st_uid)  # noqa: PTH116 - a Path cannot be had cheaper
        except OSError:
            arguments, user = [""], ""
        name = os.fsdecode(usage.name)
        program = arguments[0].rpartition("/")[2]
        if len(usage.name) >= _COMM_BYTES and program.startswith(name):
            name = program
        return _process(usage, boot_time() + usage.started, name, user, " ".join(arguments), percent, total_memory)

else:

    def _now() -> float:
        return time.time()

    class Scan:
        """Reads all processes."""

        def usages(self) -> list[Usage]:
            """Return what each process has used."""
            return list(_usages())

    def _usages() -> Iterator[Usage]:
        for process in psutil.process_iter(["create_time", "cpu_times", "memory_info", "num_threads", "name"]):
            info = process.info
            times, memory = info["cpu_times"], info["memory_info"]
            yield Usage(
                process.pid,
                info["create_time"] or 0.0,
                times.user + times.system if times else 0.0,
                memory.rss if memory else 0,
                info["num_threads"] or 0,
                os.fsencode(info["name"] or ""),
            )

    def _describe(usage: Usage, percent: float, total_memory: int) -> Process:
        user = command = ""
        try:
            process = psutil.Process(usage.pid)
            user = process.username()
            command = " ".join(process.cmdline())
        except psutil.Error:
            # Ended meanwhile, or not for us to see.
            pass
        return _process(usage, usage.started, os.fsdecode(usage.name), user, command, percent, total_memory)


def _process(
    usage: Usage, start_time: float, name: str, user: str, command: str, percent: float, total_memory: int
) -> Process:
    return Process(
        pid=usage.pid,
        start_time=start_time,
        name=storable(name, MOST_NAME),
        user=storable(user, MOST_NAME),
        cpu_percent=percent,
        memory_percent=100 * usage.memory_bytes / total_memory,
        memory_bytes=float(usage.memory_bytes),
        command=storable(command, MOST_COMMAND),
    )
