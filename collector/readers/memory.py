"""Memory and swap."""

import os
import sys
from contextlib import suppress
from typing import NamedTuple

import psutil

from collector.rates import Reading, rates
from collector.readers import Part
from collector.readers.procfs import number_after, read

_KIBIBYTE = 1024


class Sizes(NamedTuple):
    """Memory and swap in bytes; a host without swap has 0 of it."""

    total: float
    available: float
    swap_total: float
    swap_used: float


class Memory:
    """Memory in use, and what moved to and from swap since the reading before."""

    def __init__(self) -> None:
        self._before: Reading | None = None

    def read(self, at: float) -> Part:
        """Return memory and swap metrics; a host without swap has no swap metrics."""
        sizes = parse_meminfo(read("/proc/meminfo")) if sys.platform == "linux" else _elsewhere()
        core = {
            "memory_percent": 100 * (sizes.total - sizes.available) / sizes.total,
            "memory_total_bytes": sizes.total,
            "memory_used_bytes": sizes.total - sizes.available,
            "memory_available_bytes": sizes.available,
        }
        if sizes.swap_total:
            core["swap_percent"] = 100 * sizes.swap_used / sizes.swap_total
            core["swap_used_bytes"] = sizes.swap_used
            now = Reading(at, _swapped())
            for read_in, written_out in rates(self._before, now).values():
                core["swap_in_bytes_per_second"] = read_in
                core["swap_out_bytes_per_second"] = written_out
            self._before = now
        return Part(core)


def parse_meminfo(text: bytes) -> Sizes:
    """Read /proc/meminfo, proc(5). Raises ValueError."""
    total, available, swap_total, swap_free = (
        _KIBIBYTE * number_after(name, text)
        for name in (b"MemTotal:", b"\nMemAvailable:", b"\nSwapTotal:", b"\nSwapFree:")
    )
    # A container may be told its own limit as the total, and what is available on the whole host.
    return Sizes(total, min(available, total), swap_total, swap_total - swap_free)


def parse_vmstat(text: bytes, page_bytes: int) -> tuple[float, float]:
    """Read /proc/vmstat as bytes read back from swap and written out to it. Raises ValueError."""
    return page_bytes * number_after(b"\npswpin ", text), page_bytes * number_after(b"\npswpout ", text)


def _swapped() -> dict[str, tuple[float, float]]:
    if sys.platform == "linux":
        # Some containers have no such file.
        with suppress(OSError, ValueError):
            return {"swap": parse_vmstat(read("/proc/vmstat"), os.sysconf("SC_PAGE_SIZE"))}
    elif sys.platform != "win32":
        swap = psutil.swap_memory()
        return {"swap": (swap.sin, swap.sout)}
    # psutil counts nothing on Windows and says 0.
    return {}


def _elsewhere() -> Sizes:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Sizes(memory.total, memory.available, swap.total, swap.used)
