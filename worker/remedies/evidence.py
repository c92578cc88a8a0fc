"""The parameters of a fix that an event's own evidence tells."""

from collections.abc import Mapping
from typing import Any

from store.remedies import BadParameter, Parameter, Remedy, Value, check, complete
from worker.detection.evidence import fastest_growing


def parameters_for(
    remedy: Remedy, given: Mapping[str, Value], event_type: str | None, subject: str, evidence: Mapping[str, Any]
) -> dict[str, Value]:
    """Return all parameters of a remedy: those that were given, then those that the event tells, then the defaults.

    ``event_type`` is None for a script that answers no event. Raises BadParameter.
    """
    known = {parameter.name: parameter for parameter in remedy.parameters}
    told = {
        name: value
        for name, value in _told(event_type, subject, evidence).items()
        if name in known and not (name in _INFORMS and not _fits(known[name], value))
    }
    # What the evidence says of it may be of another process or place than the one that was given.
    for name in _ABOUT.keys() & given.keys():
        for other in _ABOUT[name]:
            told.pop(other, None)
    return complete(remedy, {**told, **given})


_INFORMS = frozenset({"directory", "directory_bytes", "memory_bytes"})
"""What a fix only tells of: one that a host made unfit is left out, and the fix stays."""
_ABOUT = {
    "pid": ("start_time", "memory_bytes"),
    "mount": ("directory", "directory_bytes"),
    "directory": ("directory_bytes",),
}


def _fits(parameter: Parameter, value: object) -> bool:
    try:
        check(parameter, value)
    except BadParameter:
        return False
    return True


def _told(event_type: str | None, subject: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event tells."""
    match event_type:
        case "cpu_high" | "cpu_spike":
            return _process(_top(evidence, "cpu_percent"))
        case "memory_high":
            return _process(next(iter(evidence.get("grown") or []), _top(evidence, "memory_percent")))
        case "process_memory_high":
            return _process(evidence.get("process") or {})
        case "disk_full" | "disk_forecast":
            mount = (evidence.get("filesystem") or {}).get("mount") or subject or None
            return {"mount": mount, **_directory(fastest_growing(evidence))}
        case "service_down":
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
    if process.get("pid") == 1:
        return {}
    return {name: process.get(name) for name in ("pid", "start_time", "memory_bytes")}


def _directory(fastest: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if fastest is None else {"directory": fastest.get("path"), "directory_bytes": fastest.get("bytes")}
