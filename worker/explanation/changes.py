"""What changed on a host around the time of an event: starts of processes, a boot, packages, services, growth."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from wire.words import duration, quoted, size
from worker.explanation import programs
from worker.explanation.case import Case, View
from worker.explanation.programs import Program

Kind = Literal["process_started", "boot", "packages", "service", "memory_growth", "process_gone"]

# What happened in this time before the first sign of an event may have to do with it.
_BEFORE_SECONDS = 600.0
# Clocks that agree this well are left alone (worker.clocks).
_AFTER_SECONDS = 2.0
# Less of one CPU, and of memory, is no reason for anything.
NOTABLE_CPU_PERCENT = 10.0
NOTABLE_MEMORY_PERCENT = 1.0
_MOST_CHANGES = 12


class Change(NamedTuple):
    """One thing that changed."""

    kind: Kind
    at: float
    """When, in Unix seconds; for a service, growth and what is gone the time by which it was so."""
    text: str
    """A clause without the time."""
    program: Program | None = None
    """The process that it is about."""

    @property
    def document(self) -> dict[str, Any]:
        """How it stands in an event's evidence."""
        return {"at": self.at, "kind": self.kind, "text": self.text}


def changes_of(case: Case, processes: Sequence[Program]) -> list[Change]:
    """Return what changed, in the order of time; ``processes`` are those of the case."""
    found = [*_started(case, processes)]
    if case.view is not None:
        found += _of_host(case, case.view)
        if case.earlier is not None and case.earlier.taken_at < case.view.taken_at:
            found += _services(case.view, case.earlier)
            found += _memory(processes, case.view, case.earlier)
    return sorted(found, key=lambda change: change.at)[-_MOST_CHANGES:]


def _is_near(case: Case, moment: float) -> bool:
    return case.started_at - _BEFORE_SECONDS <= moment <= case.opened_at + _AFTER_SECONDS


def _started(case: Case, processes: Sequence[Program]) -> Iterator[Change]:
    for one in processes:
        uses = []
        if one.cpu_percent >= NOTABLE_CPU_PERCENT:
            uses.append(f"uses {one.cpu_percent:.0f} % of one CPU")
        if one.memory_percent >= NOTABLE_MEMORY_PERCENT:
            uses.append(f"holds {size(one.memory_bytes)} of memory")
        if uses and _is_near(case, one.started_at):
            yield Change(
                "process_started", one.started_at, f"{one.shown} was started and {' and '.join(uses)}", program=one
            )


def _of_host(case: Case, view: View) -> Iterator[Change]:
    if _is_near(case, view.details.booted_at):
        yield Change("boot", view.details.booted_at, "the host booted")
    if _is_near(case, view.details.packages_changed_at):
        at = view.details.packages_changed_at
        yield Change("packages", at, "packages were installed, upgraded or removed")


def _services(view: View, earlier: View) -> Iterator[Change]:
    before = {service.name: service for service in earlier.details.services}
    for service in view.details.services:
        known = before.get(service.name)
        if known is not None and (known.running, known.state) != (service.running, service.state):
            text = f"the service {quoted(service.name)} had gone from {quoted(known.state)} to {quoted(service.state)}"
            yield Change("service", view.taken_at, text)


def _memory(processes: Sequence[Program], view: View, earlier: View) -> Iterator[Change]:
    now = {one.pid: one for one in processes}
    largest = programs.of_details(view.details.processes_by_memory)
    within = duration(view.taken_at - earlier.taken_at)
    for before in programs.of_details(earlier.details.processes_by_memory):
        one = now.get(before.pid)
        if one is None or not programs.is_same(one, before):
            # One that was barely among the largest may only have been overtaken.
            least = min((other.memory_bytes for other in largest), default=0.0)
            if largest and before.memory_percent >= NOTABLE_MEMORY_PERCENT and before.memory_bytes > 2 * least:
                text = f"{before.shown}, which held {size(before.memory_bytes)}, was no longer among the largest"
                yield Change("process_gone", view.taken_at, text + " processes", program=before)
            continue
        grown = one.memory_bytes - before.memory_bytes
        is_notable = one.memory_percent - before.memory_percent >= NOTABLE_MEMORY_PERCENT
        if is_notable and grown > before.memory_bytes / 10:
            text = f"{one.shown} had grown by {size(grown)} to {size(one.memory_bytes)} within {within}"
            yield Change("memory_growth", view.taken_at, text, program=one)
