"""What the open events ask for, where nothing that was found of a resource answers them already."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from api.diagnosis.seen import MOST_NAMED, OpenEvent, Seen
from api.diagnosis.space import INODES
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


_LOOK = _Answer(
    "Look for what is busy.",
    "The plan measures who uses the CPU, and changes nothing.",
    40,
    "none",
    "cpu_high",
)
_MAKE_ROOM = _Answer(
    "Make room on {}.",
    "The plan says what it would free before anything is removed.",
    75,
    "medium",
    "disk_full",
    parameter="mount",
)
_ANSWERS: Mapping[str, _Answer] = {
    "cpu_high": _LOOK,
    "cpu_spike": _LOOK,
    "memory_high": _Answer(
        "See what holds the memory, and what swap and control groups allow.",
        "It changes nothing: the script reports first.",
        30,
        "none",
        "memory_high",
    ),
    "process_memory_high": _Answer(
        "End {}, unless it is meant to hold so much.",
        "Its memory would be free again.",
        60,
        "medium",
        "process_memory_high",
    ),
    "disk_full": _MAKE_ROOM,
    "disk_forecast": _MAKE_ROOM,
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


def against_events(seen: Seen, others: Sequence[Suggestion]) -> list[Suggestion]:
    """Return what helps against the host's open events, few of each type; ``others`` are suggested already."""
    answered = {one.event_id for one in others}
    done_by = {one.issue_type for one in others if one.issue_type is not None}
    found: list[Suggestion] = []
    told: dict[str, int] = {}
    for event in seen.events:
        told[event.type] = told.get(event.type, 0) + 1
        answer = _ANSWERS.get(event.type)
        # Of the host itself there is nothing that another script of the same remedy could be about.
        is_done = answer is not None and not event.subject and answer.issue_type in done_by
        if told[event.type] <= MOST_NAMED and not is_done and event.id not in answered:
            found += _against(seen, event, answer)
    return found


def _against(seen: Seen, event: OpenEvent, answer: _Answer | None) -> list[Suggestion]:
    remedy = seen.remedy_of.get(event.type)
    subject = event.subject.removesuffix(INODES)
    if answer is not None and (answer.issue_type is None or remedy in (None, answer.issue_type)):
        text = answer.text.format(quoted(subject) if subject else "it")
    elif remedy is not None:
        # What a user's own does, only its plan knows.
        kind = quoted(event.type) + (f" of {quoted(subject)}" if subject else "")
        text = f"Answer {kind}."
        answer = _Answer(text, "Its plan says what it would do.", 60, "medium", remedy)
    else:
        return []
    issue_type = answer.issue_type or remedy
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
            parameters={answer.parameter: subject} if answer.parameter and subject else None,
        )
    ]
