"""One process holds much of the memory."""

from collections.abc import Iterator
from typing import Any

from wire.snapshot import Details
from worker.detection.evidence import process_evidence, process_subject
from worker.detection.finding import Finding, verdict_of
from worker.detection.rule import LimitOf, SubjectRule


class ProcessMemoryHigh(SubjectRule):
    """A process' ``memory_percent`` above the limit; the subject is ``name (pid N)``."""

    type = "process_memory_high"
    metric = "process_memory_max_percent"

    def findings(self, details: Details, limit_of: LimitOf) -> Iterator[Finding]:
        """Yield a finding for each of the top processes by memory."""
        for one in details.processes_by_memory:
            subject = process_subject(one)
            limit = limit_of(subject)
            verdict = verdict_of(one.memory_percent, one.memory_percent > limit.value, limit)
            yield Finding(subject, verdict, one.memory_percent, "medium")

    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return that process."""
        for one in details.processes_by_memory:
            if process_subject(one) == subject:
                return {"process": process_evidence(one)}
        return {}
