"""An event that is to be explained, and what is known of its host around it. Times are Unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from wire.snapshot import Details


class View(NamedTuple):
    """A host's details as they were at some time."""

    taken_at: float
    details: Details


class Usual(NamedTuple):
    """The range in which a metric was before, by its means over hours or, while there are few, over 5 minutes."""

    least: float
    most: float
    when: Literal["at this hour", "in the day before", "in the hour before"]


@dataclass(frozen=True)
class Case:
    """One event."""

    type: str
    subject: str
    """Empty where the host itself is the subject."""
    limit: float | None
    value: float | None
    """The worst so far."""
    started_at: float
    opened_at: float
    evidence: Mapping[str, Any]
    """Of the moment it opened, as the rules made it."""
    view: View | None = None
    """The latest that are known."""
    earlier: View | None = None
    usual: Usual | None = None
    """Of the metric of this type in ``METRICS``."""


METRICS: Mapping[str, str] = {
    "cpu_high": "cpu_percent",
    "cpu_spike": "cpu_percent",
    "memory_high": "memory_percent",
    "disk_full": "disk_percent",
    "process_memory_high": "process_memory_max_percent",
}
"""By event type, the core metric that says what is usual for it."""
