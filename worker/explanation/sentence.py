"""The sentence: what, how much, since when, compared with what; and what changed on the host at that time.

Another type of event takes one function here and a line in ``_FACTS``; without these its figures are said plainly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from wire.metrics import CATALOGUE
from wire.text import storable, visible
from wire.words import clock, duration, number, percent, quoted, size
from worker.detection.evidence import fastest_growing
from worker.explanation import programs
from worker.explanation.case import Case, Usual
from worker.explanation.changes import NOTABLE_CPU_PERCENT, NOTABLE_MEMORY_PERCENT, Change, Kind, changes_of
from worker.explanation.programs import Program

_MOST_TOLD = 2
# Details of another time say nothing of the event.
_NEAR_SECONDS = 900.0
_LONGEST_REASON = 200
_UNITS = {metric.name: metric.unit for metric in CATALOGUE}


class Explanation(NamedTuple):
    """What an event gets."""

    text: str
    """One or a few plain sentences."""
    changes: list[Change]
    """All that changed, also what the text leaves out."""


def explain(case: Case) -> Explanation:
    """Explain an event as far as is known."""
    if case.view is not None and abs(case.view.taken_at - case.opened_at) > _NEAR_SECONDS:
        case = replace(case, view=None, earlier=None)
    processes = programs.of_case(case)
    changes = changes_of(case, processes)
    facts = _FACTS.get(case.type, _figures)(case)
    told = _told(case, changes)
    sentences = [f"{facts}.", *(_sentence(case, change) for change in told)]
    culprit = _culprit(case, processes, told)
    if culprit is not None:
        sentences.insert(1, culprit)
    if not changes and case.view is not None:
        sentences.append("Nothing is known to have changed on the host at that time.")
    return Explanation(" ".join(sentences), changes)


def _told(case: Case, changes: Sequence[Change]) -> list[Change]:
    """Return the few changes that say most for this type of event."""
    kinds = _KINDS_OF_CPU if _is_cpu(case) else _KINDS_OF_MEMORY if _is_memory(case) else _KINDS
    weighed = [change for change in changes if change.kind in kinds and _weight(case, change) > 0]
    weighed.sort(key=lambda change: (kinds.index(change.kind), -_weight(case, change)))
    return sorted(weighed[:_MOST_TOLD], key=lambda change: change.at)


_KINDS_OF_CPU: tuple[Kind, ...] = ("process_started", "boot", "packages", "service")
_KINDS_OF_MEMORY: tuple[Kind, ...] = ("memory_growth", "process_started", "boot", "packages", "service")
_KINDS: tuple[Kind, ...] = ("boot", "packages", "service", "process_gone", "process_started", "memory_growth")
_BY_THEN: tuple[Kind, ...] = ("service", "memory_growth", "process_gone")


def _weight(case: Case, change: Change) -> float:
    """Return how much a process takes of what the event is about; 0 when it is too little to tell of."""
    if change.program is None:
        return 1.0
    if _is_cpu(case):
        return change.program.cpu_percent if change.program.cpu_percent >= NOTABLE_CPU_PERCENT else 0.0
    if _is_memory(case):
        return change.program.memory_percent if change.program.memory_percent >= NOTABLE_MEMORY_PERCENT else 0.0
    return max(change.program.cpu_percent, change.program.memory_percent)


def _sentence(case: Case, change: Change) -> str:
    preposition = "By" if change.kind in _BY_THEN else "At"
    return f"{preposition} {clock(change.at, case.started_at)} {change.text}."


def _culprit(case: Case, processes: Sequence[Program], told: Sequence[Change]) -> str | None:
    """Return who takes most of it, where no change that is told names a process."""
    if not processes or case.type == "process_memory_high" or any(change.program for change in told):
        return None
    if _is_cpu(case):
        worst = max(processes, key=lambda one: one.cpu_percent)
        if worst.cpu_percent >= NOTABLE_CPU_PERCENT:
            return f"Most is used by {worst.shown}: {worst.cpu_percent:.0f} % of one CPU."
    elif _is_memory(case):
        worst = max(processes, key=lambda one: one.memory_bytes)
        if worst.memory_percent >= NOTABLE_MEMORY_PERCENT:
            return f"Most is held by {worst.shown}: {size(worst.memory_bytes)}."
    return None


def _is_cpu(case: Case) -> bool:
    return case.type.startswith("cpu_") or (case.type == "deviation" and "cpu" in case.subject)


def _is_memory(case: Case) -> bool:
    return "memory" in case.type or (case.type == "deviation" and "memory" in case.subject)


def _cpu_high(case: Case) -> str:
    return f"CPU {_at_percent(case)} {_since(case)}{_usually(case)}"


def _cpu_spike(case: Case) -> str:
    to = "" if case.value is None else f" to {percent(case.value)}"
    return f"CPU leapt{to}{_limit(case, percent)} at {clock(case.started_at, case.opened_at)} UTC{_usually(case)}"


def _memory_high(case: Case) -> str:
    return f"Memory {_at_percent(case)} {_since(case)}{_usually(case)}"


def _disk_full(case: Case) -> str:
    filesystem = _part(case, "filesystem")
    used, whole = _figure(filesystem, "used_bytes"), _figure(filesystem, "size_bytes")
    sizes = "" if used is None or whole is None else f", {size(used)} of {size(whole)} used,"
    return f"{quoted(case.subject)} {_at_percent(case)}{sizes} {_since(case)}{_disk_before(case)}{_fastest(case)}"


def _disk_before(case: Case) -> str:
    """Return how full it was in the earlier copy; else how full the fullest of the host was."""
    if case.earlier is not None and case.earlier.taken_at < case.started_at:
        for one in case.earlier.details.filesystems:
            if storable(one.mount) == case.subject and 0 <= one.used_percent <= 100:
                return f"; {percent(one.used_percent)} at {clock(case.earlier.taken_at, case.started_at)}"
    if case.usual is None:
        return ""
    return f"; the fullest filesystem was at {_range(case.usual)} {case.usual.when}"


def _fastest(case: Case) -> str:
    """Return which directory grew most."""
    fastest = fastest_growing(case.evidence)
    if fastest is None:
        return ""
    within = _figure(fastest, "seconds")
    time = "" if within is None else f" within {duration(within)}"
    return f"; {quoted(str(fastest.get('path')))} grew most, by {size(fastest['growth_bytes'])}{time}"


def _disk_forecast(case: Case) -> str:
    forecast = _part(case, "forecast")
    soon, low, high = (_figure(forecast, f"full_in{part}_seconds") for part in ("", "_low", "_high"))
    when = "soon" if soon is None else f"in about {duration(soon)}"
    between = "" if low is None or high is None else f" ({duration(low)} to {duration(high)})"
    pace, begun = _figure(forecast, "growth_per_hour_bytes"), _figure(forecast, "trend_since_at")
    grows = "" if pace is None else f" of {size(pace)} an hour"
    since = "" if begun is None else f" since {clock(begun, case.opened_at)} UTC"
    return f"{quoted(case.subject)} will be full {when}{between} at its present growth{grows}{since}{_fastest(case)}"


def _process_memory_high(case: Case) -> str:
    process = next(iter(programs.of_evidence(case.evidence)), None)
    who = quoted(case.subject) if process is None else process.shown
    share = "much memory" if case.value is None else f"{percent(case.value)} of memory"
    held = "" if process is None else f", {size(process.memory_bytes)},"
    usual = "" if case.usual is None else f"; the largest process held {_range(case.usual)} {case.usual.when}"
    return f"{who} holds {share}{_limit(case, percent)}{held} {_since(case)}{usual}"


def _service_down(case: Case) -> str:
    state = str(_part(case, "service").get("state") or "")
    because = f": its state is {quoted(state)}" if state else ""
    before = ""
    for service in case.earlier.details.services if case.earlier is not None else ():
        if case.earlier is not None and storable(service.name) == case.subject and service.running:
            before = f"; at {clock(case.earlier.taken_at, case.started_at)} it was {quoted(service.state)}"
    return f"The service {quoted(case.subject)} has not been running {_since(case)}{because}{before}"


def _disk_health(case: Case) -> str:
    reason = str(case.evidence.get("reason") or "")
    return f"{quoted(case.subject)} has been failing {_since(case)}" + (f": {_plain(reason)}" if reason else "")


def _host_down(case: Case) -> str:
    interval = _figure(case.evidence, "interval_seconds")
    due = "" if interval is None else f"; one is due every {duration(interval)}"
    limit = "" if case.limit is None else f"; silence may last {duration(case.limit)}"
    if case.evidence.get("never_seen"):
        return f"No snapshot has ever come: the host has been waited for {_since(case)}{due}{limit}"
    return f"No snapshot has come {_since(case)}{due}{limit}"


def _host_cloned(case: Case) -> str:
    return f"Two machines have pushed under the key of this host {_since(case)}{_reason(case)}"


def _host_flooding(case: Case) -> str:
    passed = _figure(case.evidence, "throttled_entries")
    count = "" if passed is None else f": {number(passed, 0)} of its entries were passed over at first"
    return f"This host has pushed more than any collector does {_since(case)}{count}"


def _deviation(case: Case) -> str:
    metrics = [metric for metric in case.evidence.get("metrics") or () if isinstance(metric, Mapping)]
    told = [_metric(case, metric) for metric in metrics[:_MOST_METRICS]]
    more = len(metrics) - len(told)
    told += [f"and {more} more"] if more > 0 else []
    how = _DEVIATES.get(str(case.evidence.get("kind")), _DEVIATES["broad"])
    return f"The host {how} {_since(case)}" + (f": {', '.join(told)}" if told else "")


def _metric(case: Case, metric: Mapping[str, Any]) -> str:
    """Return what a metric was and what it was expected to be; or where it had been, when it left that."""
    name = str(metric.get("name"))
    shown = _SHOWN.get(_UNITS.get(name, "1"), number)
    seen, expected = _figure(metric, "seen"), _figure(metric, "expected")
    least, most = _figure(metric, "lowest_before"), _figure(metric, "highest_before")
    if seen is None:
        return quoted(name)
    if case.evidence.get("kind") == "new" and least is not None and most is not None:
        return f"{quoted(name)} at {shown(seen)}, before {shown(least)} to {shown(most)}"
    return f"{quoted(name)} at {shown(seen)}" + ("" if expected is None else f" where {shown(expected)} is expected")


_MOST_METRICS = 3
_DEVIATES: Mapping[str, str] = {
    "broad": "has been far from what is usual for it",
    "new": "has been where it never was before",
    "drift": "has stayed away from what is usual for it",
    "peers": "has been unlike its peers",
}
_SHOWN: Mapping[str, Callable[[float], str]] = {
    "percent": percent,
    "bytes": size,
    "bytes/s": lambda value: f"{size(value)}/s",
    "1/s": lambda value: f"{number(value, 1)} a second",
}
"""How a figure is said, by its unit."""


def _figures(case: Case) -> str:
    subject = f" of {quoted(case.subject)}" if case.subject else ""
    at = "" if case.value is None else f" at {number(case.value)}"
    return (
        f"{case.type.replace('_', ' ').capitalize()}{subject}{at}{_limit(case, number)} {_since(case)}{_reason(case)}"
    )


_FACTS: Mapping[str, Callable[[Case], str]] = {
    "cpu_high": _cpu_high,
    "cpu_spike": _cpu_spike,
    "memory_high": _memory_high,
    "disk_full": _disk_full,
    "disk_forecast": _disk_forecast,
    "process_memory_high": _process_memory_high,
    "service_down": _service_down,
    "disk_health": _disk_health,
    "host_down": _host_down,
    "host_cloned": _host_cloned,
    "host_flooding": _host_flooding,
    "deviation": _deviation,
}


def _at_percent(case: Case) -> str:
    return ("" if case.value is None else f"at {percent(case.value)}") + _limit(case, percent)


def _limit(case: Case, shown: Callable[[float], str]) -> str:
    return "" if case.limit is None else f" (limit {shown(case.limit)})"


def _since(case: Case) -> str:
    return f"since {clock(case.started_at, case.opened_at)} UTC"


def _usually(case: Case) -> str:
    return "" if case.usual is None else f"; usually {_range(case.usual)} {case.usual.when}"


def _range(usual: Usual) -> str:
    least, most = f"{usual.least:.0f}", f"{usual.most:.0f}"
    return f"{most} %" if least == most else f"{least} to {most} %"


def _reason(case: Case) -> str:
    reason = case.evidence.get("reason")
    return f": {_plain(reason)}" if isinstance(reason, str) and reason else ""


def _plain(text: str) -> str:
    return visible(text, _LONGEST_REASON).rstrip(".")


def _part(case: Case, name: str) -> Mapping[str, Any]:
    part = case.evidence.get(name)
    return part if isinstance(part, Mapping) else {}


def _figure(part: Mapping[str, Any], name: str) -> float | None:
    value = part.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
