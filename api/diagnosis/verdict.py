"""The verdict on a host: what holds it back, what was found, and what would help."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from api.diagnosis import culprits, measures
from api.diagnosis.advice import against, against_leak, against_runaway
from api.diagnosis.event_advice import against_events
from api.diagnosis.finding import Finding, finding
from api.diagnosis.load import tell_cpu, tell_memory, tell_pressure, tell_swap
from api.diagnosis.measures import LEAST_SCORE, Judged, Resource
from api.diagnosis.seen import WHOLE_SECONDS, Seen
from api.diagnosis.sentences import Story
from api.diagnosis.space import foreseen, tell_space
from api.diagnosis.suggestions import Suggestion, ranked
from api.diagnosis.traffic import tell_disk_io, tell_network
from wire.words import duration, quoted

Bottleneck = Resource | Literal["none"]

NAMES: Mapping[Resource, str] = {
    "cpu": "its CPU",
    "memory": "its memory",
    "swap": "swapping",
    "disk_space": "the space on its disks",
    "disk_io": "the traffic of its disks",
    "network": "its network",
    "pressure": "tasks that wait",
    "process": "a process that runs away",
    "leak": "a leak",
}
"""Of what holds a host back, as a sentence has it."""

_TELLERS: Mapping[Resource, Callable[[Seen, Judged, Story], None]] = {
    "cpu": tell_cpu,
    "memory": tell_memory,
    "swap": tell_swap,
    "disk_space": tell_space,
    "disk_io": tell_disk_io,
    "network": tell_network,
    "pressure": tell_pressure,
}


@dataclass(frozen=True)
class Verdict:
    """What holds a host back, ``none`` for nothing; findings and suggestions with the worst and best first."""

    bottleneck: Bottleneck
    summary: str
    """The verdict in a sentence or two."""
    findings: Sequence[Finding]
    suggestions: Sequence[Suggestion]


def judge(seen: Seen) -> Verdict:
    """Judge a host by what is known of it."""
    found: list[Finding] = []
    advice: list[Suggestion] = []
    for judged in measures.judge(seen.averages).values():
        told = _told(seen, foreseen(seen, judged) if judged.resource == "disk_space" else judged)
        found.append(told)
        if told.score >= LEAST_SCORE:
            advice += against(seen, told)
    is_cpu_busy = any(one.resource == "cpu" and one.score >= LEAST_SCORE for one in found)
    runaway = culprits.runaway(seen)
    if runaway is not None and not is_cpu_busy:
        story = Story()
        culprits.tell_runaway(seen, runaway, story)
        found.append(finding(culprits.judge_runaway(seen, runaway), story))
        if found[-1].score >= LEAST_SCORE:
            advice += against_runaway(seen, found[-1], runaway)
    leak = culprits.leak(seen)
    if leak is not None:
        story = Story()
        culprits.tell_leak(seen, leak, story)
        found.append(finding(culprits.judge_leak(leak), story))
        advice += against_leak(seen, found[-1], leak)
    found.sort(key=lambda one: -one.score)
    bottleneck = found[0].resource if found and found[0].score >= LEAST_SCORE else "none"
    # No script reaches a host that is silent, and nobody knows how it is by now.
    is_silent = seen.silent_seconds is None or seen.silent_seconds > WHOLE_SECONDS
    suggestions = ranked([*advice, *against_events(seen, advice)])
    if is_silent:
        suggestions = [one for one in suggestions if one.resource is None and one.issue_type is None]
    return Verdict(bottleneck, _summary(seen, bottleneck, found), found, suggestions)


def _told(seen: Seen, judged: Judged) -> Finding:
    story = Story()
    _TELLERS[judged.resource](seen, judged, story)
    return finding(judged, story)


def _summary(seen: Seen, bottleneck: Bottleneck, found: Sequence[Finding]) -> str:
    host = quoted(seen.host)
    if seen.silent_seconds is None:
        return f"{host} has not sent anything yet."
    before = ""
    if seen.silent_seconds > WHOLE_SECONDS:
        before = f" It has been silent for {duration(seen.silent_seconds)}: this is how it was before."
    if bottleneck == "none":
        count = len(seen.events)
        others = f" {count} of its events {'is' if count == 1 else 'are'} open." if count else ""
        return f"Nothing that is measured holds {host} back.{others}{before}"
    return f"{host} is held back by {NAMES[bottleneck]}. {found[0].sentences[0].text}{before}"
