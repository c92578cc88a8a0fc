"""What would help against what was found of each resource."""

from collections.abc import Callable, Mapping

from api.diagnosis.culprits import Leak, Runaway
from api.diagnosis.finding import Finding
from api.diagnosis.load import NOTABLE_STEAL_PERCENT, waiting_for
from api.diagnosis.measures import Resource
from api.diagnosis.processes import end_burner, end_hoarder
from api.diagnosis.seen import Seen, finite
from api.diagnosis.space import fastest_growing, filling
from api.diagnosis.suggestions import Suggestion, suggestion
from api.diagnosis.traffic import NOTABLE_SWAPPING, busiest_disk, lost_here, swapping, worst_interface
from wire.snapshot import Directory
from wire.words import duration, percent, quoted

_MEMORY_LIMIT = 90.0
_NOTABLE_CPU_PERCENT = 50.0
_NOTABLE_MEMORY_PERCENT = 10.0

_NO_MACHINE = "No script adds machines or makes them larger: that is done where they are let."
_OUTSIDE = "No script reaches what is outside of the host."


def against(seen: Seen, found: Finding) -> list[Suggestion]:
    """Return what would help against what was found of a resource that holds others back."""
    advise = _ADVICE.get(found.resource)
    return [] if advise is None else [*advise(seen, found), *_capacity(seen, found)]


def against_runaway(seen: Seen, found: Finding, runaway: Runaway) -> list[Suggestion]:
    """Return what would help against a runaway process."""
    return end_burner(seen, runaway.process, found)


def against_leak(seen: Seen, found: Finding, leak: Leak) -> list[Suggestion]:
    """Return what would help against a leak."""
    if leak.process is not None:
        return [end_hoarder(seen, leak.process, found, _MEMORY_LIMIT, leak.climb.per_hour)]
    if leak.metric == "memory_percent":
        return [_report_memory(seen, found)]
    what = "opens files and does not close" if leak.metric == "open_files" else "starts threads and does not end"
    return [
        suggestion(
            f"Find the program that {what} them, and restart it.",
            "They would be back at what they were before the climb.",
            effect=70,
            score=found.score,
            risk="medium",
            resource="leak",
            no_remedy="No script knows which program it is: only the CPU and the memory of processes are measured.",
        )
    ]


def _cpu(seen: Seen, found: Finding) -> list[Suggestion]:
    burners = [one for one in seen.by_cpu() if finite(one.cpu_percent) >= _NOTABLE_CPU_PERCENT]
    advice = [one for process in burners[:2] for one in end_burner(seen, process, found)]
    if not burners:
        advice.append(_find_what_is_busy(seen, found))
    steal = seen.last("cpu_steal_percent")
    if steal >= NOTABLE_STEAL_PERCENT:
        advice.append(
            suggestion(
                "Ask for more CPU where this virtual machine is let.",
                f"The {percent(steal)} that its hypervisor gives to others would be its own.",
                effect=min(100.0, 2 * steal),
                score=found.score,
                risk="none",
                resource="cpu",
                no_remedy=_OUTSIDE,
            )
        )
    return advice


def _memory(seen: Seen, found: Finding) -> list[Suggestion]:
    largest = [one for one in seen.by_memory() if finite(one.memory_percent) >= _NOTABLE_MEMORY_PERCENT]
    advice = [end_hoarder(seen, process, found, _MEMORY_LIMIT) for process in largest[:2]]
    return [*advice, _report_memory(seen, found)]


def _report_memory(seen: Seen, found: Finding) -> Suggestion:
    event = seen.event("memory_high")
    return suggestion(
        "See what holds the memory, and what swap and control groups allow.",
        "It changes nothing: the script reports first.",
        effect=30,
        score=found.score,
        risk="none",
        resource=found.resource,
        issue_type="memory_high",
        event_id=None if event is None else event.id,
    )


def _disk_space(seen: Seen, found: Finding) -> list[Suggestion]:
    advice = []
    for one in filling(seen):
        mount = one.filesystem.mount
        event = seen.event("disk_full", subject=mount) or one.forecast
        soon = "" if one.forecast is None else f", before it is full in {duration(one.full_in_seconds)}"
        advice.append(
            suggestion(
                f"Make room on {quoted(mount)}{soon}: old temporary files, package caches, rotated logs.",
                "The plan says what it would free before anything is removed.",
                effect=75,
                score=found.score,
                risk="medium",
                resource="disk_space",
                issue_type="disk_full",
                event_id=None if event is None else event.id,
                parameters={"mount": mount, **_directory(fastest_growing(seen, mount))},
            )
        )
        advice.append(
            suggestion(
                f"Enlarge {quoted(mount)}, or move data from it.",
                "What is meant to be kept has room again.",
                effect=60,
                score=found.score,
                risk="medium",
                resource="disk_space",
                no_remedy="No script knows which data can go elsewhere, or what there is to enlarge it with.",
            )
        )
    return advice


def _directory(fastest: Directory | None) -> dict[str, str | float]:
    return {} if fastest is None else {"directory": fastest.path, "directory_bytes": finite(fastest.bytes)}


def _disk_io(seen: Seen, found: Finding) -> list[Suggestion]:
    disk = busiest_disk(seen)
    event = seen.event("disk_health")
    advice = [
        suggestion(
            "Look whether the busy disk is failing: one that does is slow first.",
            "It changes nothing, and tells a failing disk from a busy one.",
            effect=35,
            score=found.score,
            risk="none",
            resource="disk_io",
            issue_type="disk_health",
            event_id=None if event is None else event.id,
            parameters={"disk": f"/dev/{disk.name}"} if disk is not None and seen.details.platform == "linux" else {},
        ),
        suggestion(
            "Find what reads or writes so much, and let it do so less, later or on another disk.",
            "Those who wait for the disk would wait less.",
            effect=50,
            score=found.score,
            risk="low",
            resource="disk_io",
            no_remedy="No script knows who it is: the traffic of single processes is not measured.",
        ),
    ]
    # What swaps is short of memory: less of that is less traffic.
    return [*_memory(seen, found), *advice] if swapping(seen) >= NOTABLE_SWAPPING else advice


def _network(seen: Seen, found: Finding) -> list[Suggestion]:
    worst = worst_interface(seen)
    if worst is not None:
        text = f"Check cable, switch port, duplex and driver of {quoted(worst.name)}."
    elif lost_here(seen) > 0:
        text = "Check cables, switch ports, duplex and drivers of the host's interfaces."
    else:
        text = "Check the way to those it speaks with: segments are sent again, though no interface loses any."
    return [
        suggestion(
            text,
            "What is lost now would arrive at the first time.",
            effect=60,
            score=found.score,
            risk="low",
            resource="network",
            no_remedy=_OUTSIDE,
        )
    ]


def _pressure(seen: Seen, found: Finding) -> list[Suggestion]:
    match waiting_for(seen):
        case "memory":
            return _memory(seen, found)
        case "io":
            return _disk_io(seen, found)
        case _:
            return [_find_what_is_busy(seen, found)]


def _find_what_is_busy(seen: Seen, found: Finding) -> Suggestion:
    event = seen.event("cpu_high", "cpu_spike")
    return suggestion(
        "Look for what is busy: many small processes, or some that live only for moments.",
        "The plan measures who uses the CPU, and changes nothing.",
        effect=40,
        score=found.score,
        risk="none",
        resource=found.resource,
        issue_type="cpu_high",
        event_id=None if event is None else event.id,
    )


def _capacity(seen: Seen, found: Finding) -> list[Suggestion]:
    """Return what would help where it is no fault of this host: its peers, or its past, are as busy."""
    metric = {"cpu": "cpu_percent", "memory": "memory_percent"}.get(found.resource)
    if metric is None:
        return []
    what = "CPU" if metric == "cpu_percent" else "memory"
    median, usual = seen.peers_median(metric), seen.usual(metric)
    if seen.peers is not None and median is not None and median >= found.limit:
        text = f"Give the hosts with the tag {quoted(seen.peers.tag)} more {what}, or more hosts to share their work."
        expected = f"Half of {seen.peers.hosts} peers are above {percent(median)} too: ending something here helps one."
    elif usual is not None and usual.least >= found.limit:
        text = f"Give this host more {what}, or less to do."
        expected = f"It was above {percent(usual.least)} {usual.when} too: this is what it usually needs."
    else:
        return []
    return [
        suggestion(
            text,
            expected,
            effect=100,
            score=found.score,
            risk="low",
            resource=found.resource,
            no_remedy=_NO_MACHINE,
        )
    ]


_ADVICE: Mapping[Resource, Callable[[Seen, Finding], list[Suggestion]]] = {
    "cpu": _cpu,
    "memory": _memory,
    "swap": _memory,
    "disk_space": _disk_space,
    "disk_io": _disk_io,
    "network": _network,
    "pressure": _pressure,
}
