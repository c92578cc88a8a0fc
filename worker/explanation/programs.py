"""The processes of a case: what its evidence shows of them, and what the host's details do."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from wire.snapshot import Process
from wire.words import quoted
from worker.explanation.case import Case


class Program(NamedTuple):
    """One process. ``cpu_percent`` is of one CPU."""

    pid: int
    started_at: float
    name: str
    cpu_percent: float
    memory_percent: float
    memory_bytes: float

    @property
    def shown(self) -> str:
        """How a sentence names it."""
        return f"{quoted(self.name)} (pid {self.pid})"


class _Shown(msgspec.Struct):
    """A process as evidence has it."""

    pid: int
    name: str
    start_time: float | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    memory_bytes: float | None = None


# A collector that started anew may find another time of its boot.
_SAME_START_SECONDS = 2.0


def is_same(one: Program, other: Program) -> bool:
    """Tell whether both are one process, at two times."""
    return one.pid == other.pid and abs(one.started_at - other.started_at) < _SAME_START_SECONDS


def of_details(processes: Iterable[Process]) -> list[Program]:
    """Return the processes of a snapshot's details, each once."""
    once = {
        (one.pid, one.start_time): Program(
            one.pid,
            one.start_time,
            one.name,
            _number(one.cpu_percent),
            _number(one.memory_percent),
            _number(one.memory_bytes),
        )
        for one in processes
    }
    return list(once.values())


def of_case(case: Case) -> list[Program]:
    """Return the processes of a case, each once; its evidence goes before the details, which may be of later."""
    shown = of_evidence(case.evidence)
    if case.view is not None:
        details = case.view.details
        known = {one.pid: one for one in shown}
        later = of_details((*details.processes_by_cpu, *details.processes_by_memory))
        shown += [one for one in later if one.pid not in known or not is_same(one, known[one.pid])]
    return shown


def of_evidence(evidence: Mapping[str, Any]) -> list[Program]:
    """Return the processes that an event's evidence shows."""
    given = [*_list(evidence.get("processes")), *([evidence["process"]] if evidence.get("process") else [])]
    programs = []
    for one in given:
        try:
            shown = msgspec.convert(one, _Shown)
        except msgspec.ValidationError:
            continue
        programs.append(
            Program(
                shown.pid,
                shown.start_time or 0.0,
                shown.name,
                _number(shown.cpu_percent),
                _number(shown.memory_percent),
                _number(shown.memory_bytes),
            )
        )
    return programs


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: float | None) -> float:
    """Return a figure that can be compared; what is missing or impossible counts as none."""
    return value if value is not None and 0 <= value < 1e18 else 0.0
