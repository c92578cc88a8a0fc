"""What a rule says of one subject in one snapshot."""

from enum import Enum, auto
from typing import NamedTuple

from worker.detection.limits import Limit
from worker.detection.limits import Severity as Severity

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
"""From the least to the worst."""


class Verdict(Enum):
    """How a subject stands to its limit."""

    BREACH = auto()
    """Beyond the limit: opens an event, and keeps one open."""
    HOLDS = auto()
    """Neither beyond the limit nor clear of it: opens nothing, and lets nothing resolve."""
    CLEAR = auto()
    """Below the limit by the margin: resolves an event."""
    MISSING = auto()
    """No reading: says nothing."""


class Finding(NamedTuple):
    """One subject's verdict. ``value`` is in the unit of the limit, None for what has no measure."""

    subject: str
    verdict: Verdict
    value: float | None
    severity: Severity


def verdict_of(value: float, in_breach: bool, limit: Limit) -> Verdict:
    """Return the verdict on a percentage; one that is NaN or impossible is missing."""
    if not 0.0 <= value <= 100.0:
        return Verdict.MISSING
    if in_breach:
        return Verdict.BREACH
    return Verdict.CLEAR if value < limit.value - limit.clear_margin else Verdict.HOLDS


def high_or_critical(value: float, limit: Limit) -> Severity:
    """Return the severity of a percentage: critical from the midpoint between the limit and 100 on."""
    return "critical" if value > (limit.value + 100.0) / 2 else "high"
