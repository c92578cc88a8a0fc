"""What would help a host, with the remedy that does it where there is one. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from api.findings import MOST_NAMED, Finding, Seen, finite
from wire.snapshot import Process

Impact = Literal["high", "medium", "low"]


@dataclass(frozen=True)
class OpenEvent:
    """An open event of the host, as far as it matters here."""

    id: int
    type: str
    subject: str


@dataclass(frozen=True)
class Suggestion:
    """What would help, and the remedy that does it where there is one."""

    text: str
    impact: Impact
    issue_type: str | None = None
    event_id: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def suggest(finding: Finding, seen: Seen, events: Sequence[OpenEvent]) -> list[Suggestion]:
    """Return what would help with what was found of a resource."""
    match finding.resource:
        case "cpu":
            event = _event(events, "cpu_high", "cpu_spike")
            burners = [_end_burner(one, event) for one in seen.by_cpu() if finite(one.cpu_percent) >= 50][:1]
            steal = seen.get("cpu_steal_percent")
            stolen = [Suggestion(f"The hypervisor takes {steal:.0f} % away: ask for more CPU there", "medium")]
            return (burners or [Suggestion("Look for what is busy", "medium", "cpu_high", event)]) + (
                stolen if steal >= 10 else []
            )
        case "memory" | "swap":
            event = _event(events, "memory_high", "process_memory_high")
            biggest = [one for one in seen.by_memory() if finite(one.memory_percent) >= 10][:1]
            return [_end_hoarder(one) for one in biggest] or [
                Suggestion("See what holds the memory, and what swap allows", "medium", "memory_high", event)
            ]
        case "disk_space":
            filesystems = [one for one in seen.details.filesystems if math.isfinite(one.used_percent)]
            full = sorted((one for one in filesystems if one.used_percent > 85), key=lambda one: -one.used_percent)
            return [
                Suggestion(
                    f"Make room on {one.mount}: old temporary files, package caches, rotated logs",
                    "high",
                    "disk_full",
                    next(
                        (event.id for event in events if (event.type, event.subject) == ("disk_full", one.mount)), None
                    ),
                    {"mount": one.mount},
                )
                for one in full[:MOST_NAMED]
            ]
        case "disk_io":
            return [Suggestion("Look whether the busy disk is failing", "medium", "disk_health")]
        case "network":
            return [Suggestion("Check cable, switch port and driver of the interface with errors", "medium")]
        case "pressure":
            return [Suggestion("Look for what is busy", "medium", "cpu_high", _event(events, "cpu_high", "cpu_spike"))]


def _end_burner(process: Process, event_id: int | None) -> Suggestion:
    return Suggestion(
        f"End {process.name} (pid {process.pid}), which uses {process.cpu_percent:.0f} % of one CPU, "
        "or lower its priority",
        "high",
        "cpu_high",
        event_id,
        _named(process),
    )


def _end_hoarder(process: Process) -> Suggestion:
    return Suggestion(
        f"End or restart {process.name} (pid {process.pid}), which holds {process.memory_percent:.0f} % of the memory",
        "high",
        "process_memory_high",
        None,
        _named(process),
    )


def _named(process: Process) -> dict[str, Any]:
    return (
        {"pid": process.pid, "start_time": process.start_time}
        if math.isfinite(process.start_time)
        else {"pid": process.pid}
    )


def suggest_for_events(events: Sequence[OpenEvent], suggested: set[str | None]) -> list[Suggestion]:
    """Return what the open events ask for that no resource tells of."""
    wanted = {
        "service_down": ("service_restart", "Start {} again", "high"),
        "disk_health": ("disk_health", "Look into {}, which fails: save what matters first", "high"),
    }
    found: list[Suggestion] = []
    for event in events:
        if event.type in wanted and len(found) < MOST_NAMED:
            issue_type, text, impact = wanted[event.type]
            if issue_type not in suggested:
                found.append(Suggestion(text.format(event.subject), impact, issue_type, event.id))  # type: ignore[arg-type]
    return found


def _event(events: Sequence[OpenEvent], *types: str) -> int | None:
    return next((event.id for wanted in types for event in events if event.type == wanted), None)
