"""Which processes led to an event of memory: what its evidence shows, beside what the host said some minutes before."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from store import explanations
from wire.snapshot import Unreadable, decode_details
from worker.evaluation import EventChange
from worker.explanation import programs
from worker.explanation.case import View
from worker.explanation.changes import NOTABLE_MEMORY_PERCENT
from worker.explanation.programs import Program

_TYPES = frozenset({"memory_high", "process_memory_high"})
_MOST_HOSTS = 128
"""In one drain: where more hosts run out of memory at once, the cause is not in any one of them."""
_MOST_SHOWN = 5


def with_growth(connection: Connection, changes: Sequence[tuple[int, EventChange]]) -> list[tuple[int, EventChange]]:
    """Return changes, given as (host id, change), with ``grown`` in the evidence of those of memory that open."""
    opens = {host for host, change in changes if change.type in _TYPES and change.evidence}
    if not opens:
        return list(changes)
    earlier = {
        host: _earlier(known) for host, known in explanations.views(connection, sorted(opens)[:_MOST_HOSTS]).items()
    }
    return [(host, _attributed(change, earlier.get(host))) for host, change in changes]


def _earlier(known: explanations.Views) -> View | None:
    """Return the older of a host's two copies of its details that can be read."""
    for taken_at, details in ((known.earlier_taken_at, known.earlier_details), (known.taken_at, known.details)):
        if taken_at is not None and details is not None:
            try:
                return View(taken_at, decode_details(details))
            except Unreadable:
                continue
    return None


def _attributed(change: EventChange, earlier: View | None) -> EventChange:
    if earlier is None or change.type not in _TYPES or not change.evidence:
        return change
    found = grown(change.evidence, earlier)
    return replace(change, evidence={**change.evidence, "grown": found}) if found else change


def grown(evidence: Mapping[str, Any], earlier: View) -> list[dict[str, Any]]:
    """Return the processes of an event's evidence that grew notably since an earlier view, the one that did most first.

    One that was not among the largest then grew by ``growth_bytes`` at the least.
    """
    seconds = evidence["taken_at"] - earlier.taken_at
    if seconds <= 0:
        return []
    before = programs.of_details(earlier.details.processes_by_memory)
    found = []
    for one in programs.of_evidence(evidence):
        held = _held(one, before, earlier.taken_at)
        growth = one.memory_bytes - held
        # Its share of the memory tells how much that has.
        if one.memory_percent * growth >= NOTABLE_MEMORY_PERCENT * one.memory_bytes > 0:
            age = evidence["taken_at"] - one.started_at
            found.append(
                {
                    "pid": one.pid,
                    "start_time": one.started_at or None,
                    "name": one.name,
                    "memory_bytes": one.memory_bytes,
                    "growth_bytes": growth,
                    "seconds": min(seconds, age) if age > 0 else seconds,
                }
            )
    found.sort(key=lambda process: -process["growth_bytes"])
    return found[:_MOST_SHOWN]


def _held(one: Program, before: Sequence[Program], at: float) -> float:
    """Return what a process held then, at the most."""
    for other in before:
        if programs.is_same(one, other):
            return other.memory_bytes
    if one.started_at >= at:
        return 0.0
    return min((other.memory_bytes for other in before), default=one.memory_bytes)
