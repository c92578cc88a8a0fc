"""A watched service does not run."""

from collections.abc import Iterator
from typing import Any

from wire.snapshot import SERVICE_UNKNOWN, Details, Service
from wire.text import storable
from worker.detection.finding import Finding, Verdict
from worker.detection.rule import LimitOf, SubjectRule


class ServiceDown(SubjectRule):
    """A watched service that is not running; the subject is its name."""

    type = "service_down"
    metric = "services_not_running"

    def findings(self, details: Details, limit_of: LimitOf) -> Iterator[Finding]:
        """Yield a finding for each watched service."""
        for one in details.services:
            yield Finding(storable(one.name), _verdict(one), None, "high")

    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return the service's state."""
        for one in details.services:
            if storable(one.name) == subject:
                return {"service": {"name": subject, "state": storable(one.state)}}
        return {}


def _verdict(service: Service) -> Verdict:
    if service.running:
        return Verdict.CLEAR
    return Verdict.MISSING if service.state == SERVICE_UNKNOWN else Verdict.BREACH
