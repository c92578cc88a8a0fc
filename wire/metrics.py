"""The catalogue of core metrics: the one list that collector, worker, store and API share.

A snapshot carries the values in this order as packed little-endian float32, NaN where the platform has no
such value. The order is part of the wire format: append only, never reorder, never reuse a place.
"""

import math
import sys
from array import array
from collections.abc import Mapping
from typing import Literal, NamedTuple

Unit = Literal["percent", "bytes", "bytes/s", "1/s", "1", "seconds", "celsius"]
Kind = Literal["gauge", "rate"]

# Above these no machine exists; a larger value is a broken reading, not a large machine.
_MOST_BYTES = 1e18
_MOST_PER_SECOND = 1e15
_MOST_THINGS = 1e12


class Metric(NamedTuple):
    """One core metric. A value outside ``minimum`` to ``maximum`` is impossible and is left out."""

    name: str
    unit: Unit
    kind: Kind
    minimum: float
    maximum: float
    help: str


def _percent(name: str, text: str) -> Metric:
    return Metric(name, "percent", "gauge", 0.0, 100.0, text)


def _bytes(name: str, text: str) -> Metric:
    return Metric(name, "bytes", "gauge", 0.0, _MOST_BYTES, text)


def _count(name: str, text: str) -> Metric:
    return Metric(name, "1", "gauge", 0.0, _MOST_THINGS, text)


def _rate(name: str, unit: Unit, text: str) -> Metric:
    return Metric(name, unit, "rate", 0.0, _MOST_PER_SECOND, text)


CATALOGUE: tuple[Metric, ...] = (
    _percent("cpu_percent", "Time all CPUs were not idle"),
    _percent("cpu_user_percent", "Time in user mode, niced included"),
    _percent("cpu_system_percent", "Time in the kernel, interrupts included"),
    _percent("cpu_iowait_percent", "Idle time with I/O outstanding"),
    _percent("cpu_steal_percent", "Time the hypervisor gave to others"),
    _percent("cpu_core_max_percent", "The busiest single CPU"),
    _count("load_1", "Load average over one minute"),
    _count("load_5", "Load average over five minutes"),
    _count("load_15", "Load average over fifteen minutes"),
    _percent("memory_percent", "Memory not available to new programs without swapping"),
    _bytes("memory_total_bytes", "Physical memory"),
    _bytes("memory_used_bytes", "Total less available"),
    _bytes("memory_available_bytes", "What programs can get without swapping"),
    _percent("swap_percent", "Swap in use"),
    _bytes("swap_used_bytes", "Swap in use"),
    _rate("swap_in_bytes_per_second", "bytes/s", "Read back from swap"),
    _rate("swap_out_bytes_per_second", "bytes/s", "Written out to swap"),
    _percent("disk_percent", "The fullest filesystem"),
    _percent("disk_inodes_percent", "The filesystem with the most inodes in use"),
    _rate("disk_read_bytes_per_second", "bytes/s", "Read from all disks"),
    _rate("disk_write_bytes_per_second", "bytes/s", "Written to all disks"),
    _rate("disk_read_operations_per_second", "1/s", "Reads completed on all disks"),
    _rate("disk_write_operations_per_second", "1/s", "Writes completed on all disks"),
    _percent("disk_busy_percent", "The busiest disk: time with I/O in flight"),
    _rate("network_receive_bytes_per_second", "bytes/s", "Received on all interfaces, loopback excepted"),
    _rate("network_transmit_bytes_per_second", "bytes/s", "Sent on all interfaces, loopback excepted"),
    _rate("network_errors_per_second", "1/s", "Receive and transmit errors"),
    _rate("network_drops_per_second", "1/s", "Packets dropped, in and out"),
    _count("tcp_connections", "Established TCP connections"),
    _rate("tcp_retransmits_per_second", "1/s", "TCP segments sent again"),
    _count("processes", "Processes"),
    _count("threads", "Threads of all processes"),
    _count("open_files", "Open file handles, system wide"),
    _rate("context_switches_per_second", "1/s", "Context switches"),
    _percent("pressure_cpu_percent", "Time some task waited for a CPU (PSI, some)"),
    _percent("pressure_memory_percent", "Time some task waited for memory (PSI, some)"),
    _percent("pressure_io_percent", "Time some task waited for I/O (PSI, some)"),
    Metric("uptime_seconds", "seconds", "gauge", 0.0, 1e10, "Since boot"),
    Metric("temperature_celsius", "celsius", "gauge", -100.0, 1000.0, "The hottest sensor"),
    _percent("process_cpu_max_percent", "The busiest process, as a share of all CPUs"),
    _percent("process_memory_max_percent", "The largest process, as a share of memory"),
    _count("services_not_running", "Watched services that do not run"),
    _count("disks_failing", "Disks that fail SMART, or are read-only though meant to be writable"),
    Metric("collector_cpu_percent", "percent", "gauge", 0.0, 100_000.0, "The collector's own CPU, of one CPU"),
    _bytes("collector_memory_bytes", "The collector's own resident memory"),
)

NAMES: tuple[str, ...] = tuple(metric.name for metric in CATALOGUE)
INDEX: Mapping[str, int] = {name: place for place, name in enumerate(NAMES)}
CORE_BYTES = 4 * len(CATALOGUE)


def pack_core(values: Mapping[str, float]) -> bytes:
    """Pack values by metric name into the core vector; what is absent or not finite becomes NaN.

    Raises KeyError for a name that the catalogue does not have.
    """
    vector = [math.nan] * len(CATALOGUE)
    for name, value in values.items():
        vector[INDEX[name]] = value if abs(value) < 3.4e38 else math.nan
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_core(core: bytes) -> dict[str, float]:
    """Return the values of a core vector by name, those that are not finite left out.

    A vector of an older or newer catalogue is read as far as both go. Raises ValueError when the length is no
    multiple of four.
    """
    if len(core) % 4:
        raise ValueError(f"core vector of {len(core)} bytes: not a whole number of float32")
    packed = array("f", core[:CORE_BYTES])
    if sys.byteorder == "big":
        packed.byteswap()
    return {name: value for name, value in zip(NAMES, packed, strict=False) if math.isfinite(value)}
