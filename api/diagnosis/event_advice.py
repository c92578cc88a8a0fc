"""What the open events ask for that no resource tells of."""

from collections.abc import Mapping
from typing import NamedTuple

from api.diagnosis.seen import MOST_NAMED, OpenEvent, Seen
from api.diagnosis.suggestions import Risk, Suggestion, suggestion
from wire.words import quoted

_SCORES = {"critical": 95.0, "high": 80.0, "medium": 55.0, "low": 30.0}


class _Answer(NamedTuple):
    """What helps against events of a type; ``{}`` stands for the subject."""

    text: str
    expected: str
    effect: float
    risk: Risk
    issue_type: str | None = None
    no_remedy: str | None = None
    parameter: str | None = None
    """Of the remedy, what the subject is given as."""


_ANSWERS: Mapping[str, _Answer] = {
    "service_down": _Answer(
        "Start {} again.",
        "It would run again: the script shows its last log lines, and checks that it stays up.",
        95,
        "low",
        "service_restart",
        parameter="service",
    ),
    "disk_health": _Answer(
        "Save what matters from {}, then look into it: it fails.",
        "The script changes nothing, and says what fails.",
        70,
        "none",
        "disk_health",
        parameter="disk",
    ),
    "host_down": _Answer(
        "Look for the host at its console or power supply.",
        "It sends nothing: whatever else is said is of before.",
        90,
        "low",
        no_remedy="No script reaches a host that is silent.",
    ),
    "host_cloned": _Answer(
        "Enroll one of the two machines that use this host's key anew.",
        "Each would be a host of its own.",
        80,
        "low",
        no_remedy="Which of the two is the real one, a person must say.",
    ),
    "host_flooding": _Answer(
        "See what pushes under this host's key.",
        "What it pushes beyond its credit is passed over.",
        50,
        "low",
        no_remedy="What pushes there, a person must see.",
    ),
    "deviation": _Answer(
        "Compare {} with what is usual for the host.",
        "It tells that something is other than before.",
        20,
        "none",
        no_remedy="It is not known to be a fault: nothing is there to be mended.",
    ),
}


def against_events(seen: Seen) -> list[Suggestion]:
    """Return what helps against the host's open events, few of each type."""
    found: list[Suggestion] = []
    told: dict[str, int] = {}
    for event in seen.events:
        told[event.type] = told.get(event.type, 0) + 1
        if told[event.type] <= MOST_NAMED:
            found += _against(seen, event)
    return found


def _against(seen: Seen, event: OpenEvent) -> list[Suggestion]:
    answer = _ANSWERS.get(event.type)
    own_remedy = seen.remedy_of.get(event.type)
    if answer is None and (own_remedy is None or event.type in _TOLD_BY_RESOURCES):
        return []
    if answer is None:
        kind = quoted(event.type) + (f" of {quoted(event.subject)}" if event.subject else "")
        answer = _Answer(f"Answer {kind}.", "Its plan says what it would do.", 60, "medium", own_remedy)
        text = answer.text
    else:
        text = answer.text.format(quoted(event.subject) if event.subject else "it")
    issue_type = answer.issue_type or own_remedy
    return [
        suggestion(
            text,
            answer.expected,
            effect=answer.effect,
            score=_SCORES.get(event.severity, 50.0),
            risk=answer.risk,
            issue_type=issue_type,
            no_remedy=None if issue_type else answer.no_remedy,
            event_id=event.id if issue_type else None,
            parameters={answer.parameter: event.subject} if answer.parameter and event.subject else None,
        )
    ]


_TOLD_BY_RESOURCES = ("cpu_high", "cpu_spike", "memory_high", "process_memory_high", "disk_full", "disk_forecast")
