"""The rules that every snapshot goes through, in the order of their events."""

from worker.detection.cpu_high import CpuHigh
from worker.detection.cpu_spike import CpuSpike
from worker.detection.disk_full import DiskFull
from worker.detection.disk_health import DiskHealth
from worker.detection.memory_high import MemoryHigh
from worker.detection.process_memory_high import ProcessMemoryHigh
from worker.detection.rule import HostRule, SubjectRule
from worker.detection.service_down import ServiceDown

RULES: tuple[HostRule | SubjectRule, ...] = (
    CpuHigh(),
    CpuSpike(),
    MemoryHigh(),
    DiskFull(),
    ProcessMemoryHigh(),
    ServiceDown(),
    DiskHealth(),
)
