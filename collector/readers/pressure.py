"""Pressure stall information: the share of time in which some task waited (Linux, kernel.org PSI)."""

import sys

from collector.rates import Reading, rates
from collector.readers import Part
from collector.readers.procfs import read

_RESOURCES = ("cpu", "memory", "io")
_KERNEL_WINDOW_SECONDS = 10.0


class Pressure:
    """Pressure on CPU, memory and I/O."""

    def __init__(self) -> None:
        self._before: Reading | None = None

    def read(self, at: float) -> Part:
        """Return the share of time with some task waiting, since the reading before.

        The kernel brings its totals up to date every two seconds only, so over less than its own ten-second
        window, and at the first reading, its average over that window is the better figure.
        """
        if sys.platform != "linux":
            return Part({})
        averages: dict[str, float] = {}
        totals: dict[str, tuple[float, ...]] = {}
        for resource in _RESOURCES:
            try:
                averages[resource], stalled_seconds = parse_pressure(read(f"/proc/pressure/{resource}"))
            except OSError:
                # The kernel has no PSI, or was started with psi=0.
                continue
            totals[resource] = (stalled_seconds,)
        now = Reading(at, totals)
        if self._before is not None and at - self._before.at >= _KERNEL_WINDOW_SECONDS:
            averages = {name: min(100.0, 100 * rate) for name, (rate,) in rates(self._before, now).items()}
        self._before = now
        return Part({f"pressure_{resource}_percent": share for resource, share in averages.items()})


def parse_pressure(text: bytes) -> tuple[float, float]:
    """Read one file of /proc/pressure as (average of ten seconds in percent, total stalled seconds) of ``some``."""
    some = dict(field.split(b"=") for field in text.splitlines()[0].split()[1:])
    return float(some[b"avg10"]), float(some[b"total"]) / 1e6
