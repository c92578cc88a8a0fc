"""The parameters of a fix that an event's own evidence tells."""

from collections.abc import Mapping
from typing import Any

from store.remedies import Remedy, Value, complete


def parameters_for(
    remedy: Remedy, given: Mapping[str, Value], subject: str, evidence: Mapping[str, Any]
) -> dict[str, Value]:
    """Return all parameters of a remedy: those that were given, then those that the event tells, then the defaults.

    Raises BadParameter.
    """
    told = _told(remedy.issue_type, subject, evidence)
    if "pid" in given:
        # The start time in the evidence may be that of another process.
        told.pop("start_time", None)
    return complete(remedy, {**told, **given})


def _told(issue_type: str, subject: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event tells; a script that answers none has no subject, and is told nothing."""
    match issue_type:
        case "cpu_high":
            return _process(_top(evidence, "cpu_percent"))
        case "memory_high":
            return _process(_top(evidence, "memory_percent"))
        case "process_memory_high":
            return _process(evidence.get("process") or {})
        case "disk_full":
            return {"mount": (evidence.get("filesystem") or {}).get("mount") or subject or None}
        case "service_restart":
            return {"service": subject or None}
        case "disk_health":
            return {"disk": subject or None}
        case _:
            return {}


def _top(evidence: Mapping[str, Any], by: str) -> Mapping[str, Any]:
    processes: list[Mapping[str, Any]] = evidence.get("processes") or []
    return max(processes, key=lambda process: process.get(by) or 0.0, default={})


def _process(process: Mapping[str, Any]) -> dict[str, Any]:
    # The first one of a system is nobody's to end; the script then finds out for itself whom it is about.
    return {name: process.get(name) for name in ("pid", "start_time")} if process.get("pid") != 1 else {}
