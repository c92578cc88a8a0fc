"""A filesystem is nearly full."""

from collections.abc import Iterator
from typing import Any

from wire.snapshot import Details
from wire.text import storable
from worker.detection.evidence import directories_evidence, filesystem_evidence
from worker.detection.finding import Finding, high_or_critical, verdict_of
from worker.detection.rule import LimitOf, SubjectRule


class DiskFull(SubjectRule):
    """A filesystem's ``used_percent`` above the limit; the subject is its mount."""

    type = "disk_full"
    metric = "disk_percent"

    def findings(self, details: Details, limit_of: LimitOf) -> Iterator[Finding]:
        """Yield a finding for each filesystem: high, or critical past the midpoint to 100."""
        for one in details.filesystems:
            mount = storable(one.mount)
            limit = limit_of(mount)
            verdict = verdict_of(one.used_percent, one.used_percent > limit.value, limit)
            yield Finding(mount, verdict, one.used_percent, high_or_critical(one.used_percent, limit))

    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return the filesystem's figures, and where its space is."""
        for one in details.filesystems:
            if storable(one.mount) == subject:
                return {"filesystem": filesystem_evidence(one), **directories_evidence(details.directories, subject)}
        return {}
