"""A disk fails, or a filesystem is read-only that should not be."""

from collections.abc import Iterator
from typing import Any

from wire.snapshot import Details
from wire.text import storable
from worker.detection.finding import Finding, Verdict
from worker.detection.rule import LimitOf, SubjectRule


class DiskHealth(SubjectRule):
    """A disk or filesystem that the collector judged to be failing; the subject is what it names."""

    type = "disk_health"
    metric = "disks_failing"

    def findings(self, details: Details, limit_of: LimitOf) -> Iterator[Finding]:
        """Yield a finding for each disk and filesystem that was judged."""
        for one in details.disk_health:
            yield Finding(storable(one.subject), Verdict.BREACH if one.failing else Verdict.CLEAR, None, "critical")

    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return the reason."""
        for one in details.disk_health:
            if one.failing and storable(one.subject) == subject:
                return {"reason": storable(one.reason)}
        return {}
