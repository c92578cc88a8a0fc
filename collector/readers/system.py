"""Uptime, open files, and what the collector itself costs."""

import functools
import os
import platform
import socket
import sys
import time
from pathlib import Path

import psutil

from collector.rates import Reading, rates
from collector.readers import Part
from collector.readers.procfs import read
from wire.text import storable


@functools.cache
def boot_time() -> float:
    """Return when the host booted in Unix seconds, read once: a clock that is set later does not move it."""
    return psutil.boot_time()


class System:
    """The host as a whole, and this process."""

    def __init__(self) -> None:
        self._before: Reading | None = None
        self._identity = _identity()

    def read(self, at: float) -> Part:
        """Return uptime, open files, the collector's own cost, and what the host calls itself."""
        core = {}
        if sys.platform == "linux":
            core["collector_memory_bytes"] = float(read("/proc/self/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
            core["uptime_seconds"] = time.clock_gettime(time.CLOCK_BOOTTIME)
            allocated, free, _ = read("/proc/sys/fs/file-nr").split()
            core["open_files"] = float(allocated) - float(free)
        else:
            core["collector_memory_bytes"] = float(psutil.Process().memory_info().rss)
            core["uptime_seconds"] = time.time() - boot_time()
        # With the children: systemctl and smartctl are part of what the collector costs.
        now = Reading(at, {"own": (sum(os.times()[:4]),)})
        for (rate,) in rates(self._before, now).values():
            core["collector_cpu_percent"] = 100 * rate
        self._before = now
        return Part(core, self._identity)


def _identity() -> dict[str, str | float]:
    return {
        "cpu_count": psutil.cpu_count() or 0,
        "platform": {"win32": "windows"}.get(sys.platform, sys.platform),
        "os_name": storable(_os_name(), 255),
        "hostname": storable(socket.gethostname(), 255),
        "collector_version": _version(),
        "booted_at": boot_time(),
    }


def _version() -> str:
    """Return the installed version, from the name of its folder: importlib.metadata would take 1.4 MB to say it."""
    for folder in sys.path:
        for found in Path(folder).glob("fleetmedic-*.dist-info"):
            return found.name.removeprefix("fleetmedic-").removesuffix(".dist-info")
    # Run from a source tree that is not installed.
    return ""


def _os_name() -> str:
    if sys.platform == "linux":
        try:
            return platform.freedesktop_os_release()["PRETTY_NAME"]
        except (OSError, KeyError):
            return f"Linux {platform.release()}"
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"
