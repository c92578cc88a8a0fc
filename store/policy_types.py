"""What policies can set: the table of event types, each with its settings, their bounds and their defaults.

A new type, or a new setting of one, is a line here; the API, its page and the checks follow. A test holds the defaults
against those of the rules.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

Unit = Literal["percent", "points", "seconds", "intervals", "hours", "times"]
Severity = Literal["low", "medium", "high", "critical"]


class Settings(Struct, frozen=True, omit_defaults=True):
    """What a policy sets; None leaves it to a policy further away, and in the end to the default."""

    limit: float | None = None
    """In the unit of the type."""
    opens_after_seconds: float | None = None
    """0 opens at the first snapshot in breach; otherwise two are needed at least."""
    clear_margin: float | None = None
    """In percentage points."""
    rise: float | None = None
    """In percentage points."""
    hold_seconds: float | None = None
    """For so long an event stays open at least."""
    enabled: bool | None = None
    severity: Severity | None = None


class Bounds(Struct, frozen=True):
    """A number that policies of a type can set."""

    default: float
    minimum: float
    maximum: float
    unit: Unit


class PolicyType(Struct, frozen=True):
    """An event type as policies see it. ``enabled`` and ``severity`` can be set of each."""

    numbers: Mapping[str, Bounds]
    """By the name of the setting."""
    subject: str | None = None
    """What a subject is, None where it is the host itself."""


def _percent(default: float) -> Bounds:
    return Bounds(default, 1.0, 99.0, "percent")


def _points(default: float) -> Bounds:
    return Bounds(default, 0.0, 50.0, "points")


def _seconds(default: float, minimum: float = 0.0) -> Bounds:
    return Bounds(default, minimum, 86400.0, "seconds")


def _type(subject: str | None = None, **numbers: Bounds) -> PolicyType:
    return PolicyType(MappingProxyType(numbers), subject)


TYPES: Mapping[str, PolicyType] = MappingProxyType(
    {
        "cpu_high": _type(
            limit=_percent(85), opens_after_seconds=_seconds(30), clear_margin=_points(5), hold_seconds=_seconds(0)
        ),
        "cpu_spike": _type(
            limit=_percent(50), rise=Bounds(20, 1, 99, "points"), clear_margin=_points(5), hold_seconds=_seconds(60)
        ),
        "memory_high": _type(
            limit=_percent(90), opens_after_seconds=_seconds(30), clear_margin=_points(5), hold_seconds=_seconds(0)
        ),
        "disk_full": _type(
            "mount",
            limit=_percent(85),
            opens_after_seconds=_seconds(0),
            clear_margin=_points(5),
            hold_seconds=_seconds(0),
        ),
        "process_memory_high": _type(
            "process",
            limit=_percent(25),
            opens_after_seconds=_seconds(30),
            clear_margin=_points(5),
            hold_seconds=_seconds(0),
        ),
        "service_down": _type("service", opens_after_seconds=_seconds(0), hold_seconds=_seconds(0)),
        "disk_health": _type("disk or mount", hold_seconds=_seconds(0)),
        "disk_forecast": _type(
            "mount",
            limit=Bounds(24, 1, 168, "hours"),
            opens_after_seconds=_seconds(600),
            hold_seconds=_seconds(0),
        ),
        "deviation": _type(limit=Bounds(1, 0.5, 10, "times"), hold_seconds=_seconds(0)),
        "host_down": _type(limit=Bounds(3, 2, 1000, "intervals"), opens_after_seconds=_seconds(30, minimum=10)),
    }
)


class BadSetting(ValueError):
    """A setting that cannot be; the message says which and what it may be."""

    def __init__(self, name: str, fault: str) -> None:
        """Say of the setting ``name`` what is wrong; ``fault`` reads on from its name."""
        super().__init__(f"{name} {fault}")
        self.name = name
        self.fault = fault


def check(event_type: str, subject: str, settings: Settings) -> None:
    """Check what a policy of a type would set. Raises BadSetting."""
    known = TYPES.get(event_type)
    if known is None:
        raise BadSetting("type", f"must be one of {', '.join(TYPES)}")
    if subject and known.subject is None:
        raise BadSetting("subject", f"cannot be given: {event_type} is of the host itself")
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if value is None or name in ("enabled", "severity"):
            continue
        bounds = known.numbers.get(name)
        if bounds is None:
            settable = ", ".join([*known.numbers, "enabled", "severity"])
            raise BadSetting(name, f"cannot be set for {event_type}: it has {settable}")
        if not bounds.minimum <= value <= bounds.maximum:
            raise BadSetting(name, f"must be from {bounds.minimum:g} to {bounds.maximum:.0f} {bounds.unit}")
