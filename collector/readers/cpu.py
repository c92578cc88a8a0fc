"""CPU time by mode, the busiest CPU, load and context switches."""

import os
import sys
from collections.abc import Mapping

import psutil

from collector.rates import Counters, Reading, rates, shares_percent
from collector.readers import Part
from collector.readers.procfs import read

_USER, _SYSTEM, _STEAL, _IDLE, _IOWAIT = range(5)
_IDLE_MODES = 2
_ALL = "cpu"


class Cpu:
    """CPU shares since the reading before."""

    def __init__(self) -> None:
        self._times: Mapping[str, Counters] = {}
        self._switches: Reading | None = None

    def read(self, at: float) -> Part:
        """Return CPU percentages, load averages and the rate of context switches."""
        times, context_switches = _linux() if sys.platform == "linux" else _elsewhere()
        core = _shares(self._times, times)
        switches = Reading(at, {_ALL: (context_switches,)})
        for (rate,) in rates(self._switches, switches).values():
            core["context_switches_per_second"] = rate
        self._times, self._switches = times, switches
        if hasattr(os, "getloadavg"):
            core["load_1"], core["load_5"], core["load_15"] = os.getloadavg()
        return Part(core)


def _shares(before: Mapping[str, Counters], now: Mapping[str, Counters]) -> dict[str, float]:
    core: dict[str, float] = {}
    whole = shares_percent(before.get(_ALL), now[_ALL], _IDLE_MODES)
    if whole:
        core["cpu_percent"] = max(0.0, 100 - whole[_IDLE] - whole[_IOWAIT])
        core["cpu_user_percent"] = whole[_USER]
        core["cpu_system_percent"] = whole[_SYSTEM]
        if sys.platform == "linux":
            core["cpu_iowait_percent"] = whole[_IOWAIT]
            core["cpu_steal_percent"] = whole[_STEAL]
    cores = [shares_percent(before.get(name), times, _IDLE_MODES) for name, times in now.items() if name != _ALL]
    busy = [max(0.0, 100 - share[_IDLE] - share[_IOWAIT]) for share in cores if share]
    if busy:
        core["cpu_core_max_percent"] = max(busy)
    return core


def parse_stat(stat: bytes) -> tuple[dict[str, Counters], float]:
    """Read /proc/stat as (times by CPU in ticks, context switches); proc(5). Raises ValueError or KeyError.

    Guest time is counted in user time already. The key ``cpu`` holds the sum of all CPUs.
    """
    times: dict[str, Counters] = {}
    for line in stat.split(b"\n"):
        if line.startswith(b"cpu"):
            name, user, nice, system, idle, iowait, irq, softirq, steal = line.split()[:9]
            times[name.decode()] = (
                float(user) + float(nice),
                float(system) + float(irq) + float(softirq),
                float(steal),
                float(idle),
                float(iowait),
            )
        elif line.startswith(b"ctxt "):
            return times, float(line[5:])
    raise ValueError("/proc/stat has no line ctxt")


def _linux() -> tuple[dict[str, Counters], float]:
    return parse_stat(read("/proc/stat"))


def _elsewhere() -> tuple[dict[str, Counters], float]:
    every = [(_ALL, psutil.cpu_times())]
    every += [(f"{_ALL}{number}", times) for number, times in enumerate(psutil.cpu_times(percpu=True))]
    modes: dict[str, Counters] = {
        name: (times.user + getattr(times, "nice", 0.0), times.system, 0.0, times.idle, 0.0) for name, times in every
    }
    return modes, float(psutil.cpu_stats().ctx_switches)
