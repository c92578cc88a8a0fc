"""Suggestions about one process: ending it, or something milder; nothing that a script would refuse."""

import math
from fnmatch import fnmatchcase
from typing import Any

from api.diagnosis.finding import Finding, named
from api.diagnosis.seen import Seen, finite
from api.diagnosis.suggestions import Suggestion, suggestion
from wire.snapshot import Process
from wire.words import duration, percent, size

PROTECTED = {
    "systemd systemd-* init launchd dbus-daemon dbus-broker*": "is part of the init system",
    "sshd sshd-* login": "lets people in",
    "postgres postmaster mysqld mariadbd mongod redis-server valkey-server oracle* ora_* sqlservr db2sysc "
    "clickhouse* influxd cassandra etcd memcached": "is a database",
    "dockerd containerd containerd-shim* podman conmon runc crun crio kubelet libvirtd qemu-*": "runs containers or "
    "virtual machines",
    "Xorg Xwayland gnome-shell plasmashell kwin* WindowServer loginwindow Dock Finder": "is the desktop session",
}
"""Names, with patterns, of processes that the remedies leave alone, and why: those that may well be busy or large."""

OWN_COMMANDS = ("*[ /]fleetmedic *", "* cli.main *", "* cli.guardian *", "*celery*fleetmedic*")
"""Patterns of the commands of Fleetmedic's own processes."""

_BACK_BELOW = 5.0
"""So far below its limit is a value well again (docs/rules.md)."""


def end_burner(seen: Seen, process: Process, found: Finding) -> list[Suggestion]:
    """Suggest ending a process that keeps CPUs busy, and lowering its priority; each with what to expect."""
    points = finite(process.cpu_percent) / max(1, seen.details.cpu_count)
    busy = seen.last("cpu_percent")
    frees = f"CPU would go from {percent(busy)} to about {percent(max(0.0, busy - points))}."
    if found.resource == "process":
        # Of what runs away nothing is left once it has ended.
        effect = 100.0
    else:
        effect = 100 * points / max(points, busy - (found.limit - _BACK_BELOW)) if points else 0.0
    use = f"{named(process)}, which uses {percent(finite(process.cpu_percent))} of one CPU"
    reason = protected(seen, process)
    if reason is not None:
        return [
            suggestion(
                f"Look into what {use}, is asked to do.",
                frees + " The figure is for all of its work.",
                effect=effect / 2,
                score=found.score,
                risk="none",
                resource=found.resource,
                no_remedy=f"A script does not end or slow it, since it {reason}: find the work that it is given.",
            )
        ]
    event = seen.event("cpu_high", "cpu_spike")
    answers: dict[str, Any] = {
        "score": found.score,
        "resource": found.resource,
        "issue_type": "cpu_high",
        "event_id": None if event is None else event.id,
    }
    return [
        suggestion(f"End {use}.", frees, effect=effect, risk="medium", parameters=pinned(process), **answers),
        suggestion(
            f"Lower the priority of {named(process)}.",
            "It goes on, and others get the CPU first; CPU stays as busy.",
            effect=effect * 0.4,
            risk="low",
            parameters={**pinned(process), "action": "renice"},
            **answers,
        ),
    ]


def end_hoarder(seen: Seen, process: Process, found: Finding, limit: float, grows: float = 0.0) -> Suggestion:
    """Suggest ending or restarting a process that holds much memory; ``limit`` is that of memory.

    ``grows`` is by how much memory in use does so, in percent an hour; 0 where that is not known.
    """
    held, used = finite(process.memory_percent), seen.last("memory_percent")
    after = max(0.0, used - held)
    effect = 100 * held / max(held, used - (limit - _BACK_BELOW)) if held else 0.0
    expected = f"Memory would go from {percent(used)} to about {percent(after)}"
    again = 3600 * (limit - after) / grows if grows > 0 and after < limit else 0.0
    expected += f", and be at {percent(limit)} again after {duration(again)}: the leak stays." if again else "."
    holds = f"{named(process)}, which holds {percent(held)} of the memory ({size(finite(process.memory_bytes))})"
    reason = protected(seen, process)
    if reason is not None:
        return suggestion(
            f"Look into what {holds}, needs it for.",
            expected,
            effect=effect / 2,
            score=found.score,
            risk="none",
            resource=found.resource,
            no_remedy=f"A script does not end it, since it {reason}: its own settings say how much it may hold.",
        )
    event = seen.event("process_memory_high", subject=f"{process.name} (pid {process.pid})")
    return suggestion(
        f"End or restart {holds}.",
        expected,
        effect=effect,
        score=found.score,
        risk="medium",
        resource=found.resource,
        issue_type="process_memory_high",
        event_id=None if event is None else event.id,
        parameters=pinned(process) | {"memory_bytes": round(finite(process.memory_bytes))},
    )


def protected(seen: Seen, process: Process) -> str | None:
    """Return why the remedies leave a process alone, None where they do not; it reads on from its name."""
    if process.pid <= 2:
        return "is the system itself"
    if seen.details.platform == "linux" and not process.command:
        return "is part of the kernel"
    if any(fnmatchcase(f" {process.command} ", one) for one in OWN_COMMANDS):
        return "is part of Fleetmedic"
    return next(
        (why for names, why in PROTECTED.items() if any(fnmatchcase(process.name, one) for one in names.split())), None
    )


def pinned(process: Process) -> dict[str, Any]:
    """Return the parameters that name a process, so that no other one that got its pid is meant."""
    return {"pid": process.pid, **({"start_time": process.start_time} if math.isfinite(process.start_time) else {})}
