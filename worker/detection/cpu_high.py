"""All CPUs together are busy."""

from typing import Any

from wire.snapshot import Details
from worker.detection.evidence import top_processes
from worker.detection.finding import Severity, high_or_critical
from worker.detection.limits import Limit
from worker.detection.rule import HostRule


class CpuHigh(HostRule):
    """``cpu_percent`` above the limit."""

    type = "cpu_high"
    metric = "cpu_percent"

    def severity(self, value: float, limit: Limit) -> Severity:
        """Return high, or critical past the midpoint to 100."""
        return high_or_critical(value, limit)

    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return the top processes by CPU."""
        return {"processes": top_processes(details.processes_by_cpu)}
