"""The CPU leapt up between two snapshots."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wire.snapshot import Details
from worker.detection.batch import Batch
from worker.detection.evidence import top_processes
from worker.detection.finding import Severity
from worker.detection.limits import Gate, Limit
from worker.detection.rule import HostRule


class CpuSpike(HostRule):
    """``cpu_percent`` above the limit, and up by more than ``rise`` from the host's snapshot before."""

    type = "cpu_spike"
    metric = "cpu_percent"

    def breaches(self, batch: Batch, gate: Gate) -> NDArray[np.bool_]:
        """Return which rows are in breach; never a host's first, nor one after a missing value."""
        cpu = batch.metric(self.metric)
        before = np.empty_like(cpu)
        before[1:] = cpu[:-1]
        first = np.flatnonzero(np.diff(batch.host, prepend=-1))
        before[first] = batch.previous_cpu_percent[batch.host[first]]
        return (cpu > gate.value) & (cpu - before > gate.rise)

    def severity(self, value: float, limit: Limit) -> Severity:
        """Return medium."""
        return "medium"

    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return the top processes by CPU."""
        return {"processes": top_processes(details.processes_by_cpu)}
