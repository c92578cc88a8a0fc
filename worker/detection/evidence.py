"""Parts of a snapshot's details as evidence: no text that a database refuses, no number that JSON does not have."""

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from wire.snapshot import Directory, Filesystem, Process
from wire.text import MAX_TEXT, storable

_TOP = 10
_NOTABLE_GROWTH_BYTES = 1024 * 1024


def finite(value: float) -> float | None:
    """Return the value, None where it is NaN or infinite."""
    return value if math.isfinite(value) else None


def top_processes(processes: Iterable[Process]) -> list[dict[str, Any]]:
    """Return the first ten of them."""
    return [process_evidence(process) for process in islice(processes, _TOP)]


def process_evidence(process: Process) -> dict[str, Any]:
    """Return what is known of one process; with its start time the pid names it."""
    return {
        "pid": process.pid,
        "start_time": finite(process.start_time),
        "name": storable(process.name),
        "user": storable(process.user),
        "cpu_percent": finite(process.cpu_percent),
        "memory_percent": finite(process.memory_percent),
        "memory_bytes": finite(process.memory_bytes),
        "command": storable(process.command),
    }


def filesystem_evidence(filesystem: Filesystem) -> dict[str, Any]:
    """Return what is known of one filesystem."""
    return {
        "mount": storable(filesystem.mount),
        "device": storable(filesystem.device),
        "fstype": storable(filesystem.fstype),
        "size_bytes": finite(filesystem.size_bytes),
        "used_bytes": finite(filesystem.used_bytes),
        "used_percent": finite(filesystem.used_percent),
        "inodes_percent": finite(filesystem.inodes_percent),
        "read_only": filesystem.read_only,
    }


def directories_evidence(directories: Iterable[Directory], mount: str) -> dict[str, Any]:
    """Return ``directories``, those of this mount that grew most and hold most; nothing where none is known."""
    known = [
        {
            "path": storable(one.path),
            "bytes": finite(one.bytes),
            "growth_bytes": finite(one.growth_bytes),
            "seconds": finite(one.seconds),
        }
        for one in directories
        if storable(one.mount) == mount
    ]
    return {"directories": known[:_TOP]} if known else {}


def fastest_growing(evidence: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the directory of an event's evidence that grew most, None where none is known to have grown notably."""
    directories: list[Mapping[str, Any]] = evidence.get("directories") or []
    growing = [one for one in directories if (one.get("growth_bytes") or 0.0) >= _NOTABLE_GROWTH_BYTES]
    return max(growing, key=lambda one: one["growth_bytes"], default=None)


def process_subject(process: Process) -> str:
    """Return ``name (pid N)``, the name cut so that it fits."""
    suffix = f" (pid {process.pid})"
    return storable(process.name, MAX_TEXT - len(suffix)) + suffix
