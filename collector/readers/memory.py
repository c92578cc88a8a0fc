"""Memory and swap."""

import os
import warnings

import psutil

from collector.rates import Reading, rates
from collector.readers import Part


class Memory:
    """Memory in use, and what moved to and from swap since the reading before."""

    def __init__(self) -> None:
        self._before: Reading | None = None

    def read(self, at: float) -> Part:
        """Return memory and swap metrics; a host without swap has no swap metrics."""
        memory = psutil.virtual_memory()
        core = {
            "memory_percent": 100 * (memory.total - memory.available) / memory.total,
            "memory_total_bytes": memory.total,
            "memory_used_bytes": memory.total - memory.available,
            "memory_available_bytes": memory.available,
        }
        with warnings.catch_warnings():
            # In some containers psutil cannot read the counters of swap, and warns at each call.
            warnings.simplefilter("ignore", RuntimeWarning)
            swap = psutil.swap_memory()
        if swap.total:
            core["swap_percent"] = 100 * swap.used / swap.total
            core["swap_used_bytes"] = swap.used
        # psutil counts nothing on Windows and says 0.
        if os.name != "nt":
            now = Reading(at, {"swap": (swap.sin, swap.sout)})
            for read_in, written_out in rates(self._before, now).values():
                core["swap_in_bytes_per_second"] = read_in
                core["swap_out_bytes_per_second"] = written_out
            self._before = now
        return Part(core)
