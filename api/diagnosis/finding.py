"""A finding: what was seen of one resource, in words, with the number that it is judged by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.diagnosis.measures import Judged, Resource, Severity
from api.diagnosis.seen import Seen
from api.diagnosis.sentences import Sentence, Story
from wire.snapshot import Process
from wire.words import quoted


@dataclass(frozen=True)
class Finding:
    """What was seen of one resource."""

    resource: Resource
    text: str
    """All its sentences."""
    value: float
    unit: str
    limit: float
    severity: Severity
    score: float
    """From 0 to 100: how near it is to holding everything back."""
    sentences: Sequence[Sentence]


def finding(judged: Judged, story: Story) -> Finding:
    """Return what a story tells of a resource that was judged."""
    return Finding(
        judged.resource,
        story.text,
        round(judged.value, 1),
        judged.unit,
        judged.limit,
        judged.severity,
        round(judged.score, 1),
        story.sentences,
    )


def compare(seen: Seen, story: Story, metric: str, what: str, shown: Callable[[str, float], str]) -> None:
    """Say what is usual for a metric, ``what`` in words, and what it is among the host's peers."""
    usual = seen.usual(metric)
    if usual is not None:
        least, most = shown(f"{what}, least usual", usual.least), shown(f"{what}, most usual", usual.most)
        story.say(f"{_capital(usual.when)} it was {least} to {most}.")
    median = seen.peers_median(metric)
    if seen.peers is not None and median is not None:
        peers = story.number("peers", seen.peers.hosts, digits=0)
        half = shown(f"{what}, median of peers", median)
        story.say(f"Half of {peers} peers with the tag {quoted(seen.peers.tag)} were below {half} in the last hour.")


def named(process: Process) -> str:
    """Return how a sentence names a process."""
    return f"{quoted(process.name)} (pid {process.pid})"


def listed(parts: Sequence[str]) -> str:
    """Return one, one and two, or one, two and three."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
