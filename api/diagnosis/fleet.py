"""The verdict on all hosts: what holds most of them back, which they are, what they share, and what helps first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from api.diagnosis.finding import listed
from api.diagnosis.measures import LEAST_SCORE, RESOURCES, UNITS, Floats, Resource, Severity, severity_of
from api.diagnosis.sentences import Sentence, Story
from api.diagnosis.suggestions import Suggestion
from api.diagnosis.verdict import NAMES, Bottleneck, Verdict
from wire.words import quoted

MOST_CLOSE = 8
"""Hosts that are looked at as closely as if they had been asked for."""
_MOST_SILENT = 4
"""Of them: what is down for long must not hide those that something can be told of."""
_MOST_NAMED = 5
_MOST_SUGGESTIONS = 12
_FEWEST_TO_SHARE = 3
_SHARE_OF_TAG = 0.6
_TIMES_OF_TAG = 1.5
_WORDS = {
    "MiB/s": "MiB/s",
    "1/s": "a second",
    "percent of one CPU": "% of one CPU",
    "percent/h": "% an hour",
    "1/h": "an hour",
}
_LEAST_WEIGHT = 5.0
"""Of a host that is just held back, beside one that is so by far."""
# What an open event says of a host that its means do not tell yet.
_SCORES_OF_EVENTS = {"critical": 95.0, "high": 80.0}


@dataclass(frozen=True)
class HeldBack:
    """A host that a resource holds back."""

    host: str
    value: float
    unit: str
    score: float


@dataclass(frozen=True)
class FleetFinding:
    """A resource that holds hosts back."""

    resource: Resource
    text: str
    value: int
    """How many hosts it holds back."""
    unit: str
    limit: int
    severity: Severity
    score: float
    """Of the host that is worst off."""
    sentences: Sequence[Sentence]
    hosts: Sequence[HeldBack]
    """The worst of them."""


@dataclass(frozen=True)
class FleetSuggestion(Suggestion):
    """What would help a host, and maybe others with it."""

    host: str = ""
    also_hosts: Sequence[str] = ()
    """Others of the hosts that were looked at closely that it is told of."""


@dataclass(frozen=True)
class FleetVerdict:
    """What holds most hosts back, ``none`` for nothing; findings and suggestions with the worst and best first."""

    bottleneck: Bottleneck
    summary: str
    findings: Sequence[FleetFinding]
    suggestions: Sequence[FleetSuggestion]


@dataclass(frozen=True)
class Fleet:
    """What is known of n hosts."""

    monitored: int
    """How many hosts are monitored in all."""
    host_ids: NDArray[np.int64]
    values: Floats
    """(n, RESOURCES) by their means, NaN for what is not measured."""
    scores: Floats
    close: Mapping[int, Verdict]
    """The verdicts on the hosts that were looked at closely, by id."""
    names: Mapping[int, str]
    """Of all hosts that are named here, by id."""
    tags: Mapping[int, frozenset[str]]
    """Of hosts that are held back, by id: of all, or of some where these are very many."""
    bearers: Mapping[str, int]
    """How many monitored hosts bear these tags."""


class _Held(NamedTuple):
    """How a host is held back by a resource."""

    value: float
    unit: str
    score: float


def to_look_at(host_ids: NDArray[np.int64], scores: Floats, severity: Mapping[int, str]) -> list[int]:
    """Return the ids of the hosts to look at closely: those worst off, by their means or their open events."""
    worst = np.nan_to_num(scores).max(axis=1, initial=0.0)
    some = np.argsort(-worst, kind="stable")[: MOST_CLOSE + len(severity)]
    by_id = dict(zip(host_ids[some].tolist(), worst[some].tolist(), strict=True))
    for host_id, one in severity.items():
        by_id[host_id] = max(by_id.get(host_id, 0.0), _SCORES_OF_EVENTS.get(one, 0.0))
    ordered = np.array(sorted(by_id, key=lambda host_id: (-by_id[host_id], host_id)), np.int64)
    is_silent = ~np.isin(ordered, host_ids)
    chosen: list[int] = ordered[~is_silent | (np.cumsum(is_silent) <= _MOST_SILENT)][:MOST_CLOSE].tolist()
    return chosen


def to_name(host_ids: NDArray[np.int64], scores: Floats) -> list[int]:
    """Return the ids of the hosts that are worst off by each resource, of as bad ones the first: as they are told."""
    worst = np.argsort(-np.nan_to_num(_rounded(scores)), axis=0, kind="stable")[: _MOST_NAMED + MOST_CLOSE]
    return np.unique(host_ids[worst]).tolist() if len(host_ids) else []


def held_back(host_ids: NDArray[np.int64], scores: Floats) -> list[int]:
    """Return the ids of the hosts that any resource holds back."""
    ids: list[int] = host_ids[(np.nan_to_num(scores) >= LEAST_SCORE).any(axis=1)].tolist()
    return ids


def judge(fleet: Fleet) -> FleetVerdict:
    """Judge all hosts."""
    by_resource = _held_back(fleet)
    weights = {
        resource: sum(_LEAST_WEIGHT + one.score - LEAST_SCORE for one in hosts.values())
        for resource, hosts in by_resource.items()
    }
    ordered = sorted(by_resource, key=lambda resource: -weights[resource])
    findings = [_finding(fleet, resource, by_resource[resource]) for resource in ordered]
    return FleetVerdict(
        findings[0].resource if findings else "none",
        _summary(fleet, by_resource, findings),
        findings,
        _suggestions(fleet),
    )


def _held_back(fleet: Fleet) -> dict[Resource, dict[int, _Held]]:
    """Return value and score of each host that is held back, by resource and id: as it was seen most closely.

    A silent host is not: nobody knows how it is by now.
    """
    found: dict[Resource, dict[int, _Held]] = {}
    is_close = np.isin(fleet.host_ids, list(fleet.close))
    for host_id in fleet.host_ids[is_close].tolist():
        for one in fleet.close[host_id].findings:
            if one.score >= LEAST_SCORE:
                found.setdefault(one.resource, {})[host_id] = _Held(one.value, one.unit, one.score)
    # As a finding has it: of as bad ones those come first that the suggestions are about.
    scores = _rounded(fleet.scores)
    for column, resource in enumerate(RESOURCES):
        rows = np.flatnonzero((np.nan_to_num(fleet.scores[:, column]) >= LEAST_SCORE) & ~is_close)
        for row in rows.tolist():
            held = _Held(float(fleet.values[row, column]), UNITS[resource], float(scores[row, column]))
            found.setdefault(resource, {})[int(fleet.host_ids[row])] = held
    return found


def _rounded(scores: Floats) -> Floats:
    return np.round(scores, 1)


def _finding(fleet: Fleet, resource: Resource, hosts: Mapping[int, _Held]) -> FleetFinding:
    worst = sorted(hosts, key=lambda host_id: -hosts[host_id].score)[:_MOST_NAMED]
    named = [HeldBack(fleet.names[one], round(hosts[one].value, 1), hosts[one].unit, hosts[one].score) for one in worst]
    score = named[0].score
    story = Story()
    _tell(fleet, resource, hosts, named, story)
    return FleetFinding(resource, story.text, len(hosts), "hosts", 0, severity_of(score), score, story.sentences, named)


def _tell(
    fleet: Fleet,
    resource: Resource,
    hosts: Mapping[int, _Held],
    worst: Sequence[HeldBack],
    story: Story,
) -> None:
    count = story.number("held back", len(hosts), digits=0)
    looked_at = story.number("looked at", len(fleet.host_ids), digits=0)
    reason = NAMES[resource].replace("its ", "their " if len(hosts) > 1 else "its ")
    verb = "hosts are" if len(hosts) > 1 else "hosts is"
    story.say(f"{count} of {looked_at} {verb} held back by {reason}.")
    shown = [f"{quoted(one.host)} {_shown(story, one.host, one.value, one.unit)}" for one in worst]
    story.say(f"{'The worst: ' if len(hosts) > len(worst) else ''}{listed(shown)}.")
    if resource in RESOURCES and len(fleet.host_ids) > len(hosts):
        values = fleet.values[:, RESOURCES.index(resource)]
        if np.isfinite(values).any():
            median = _shown(story, "median", float(np.nanmedian(values)), UNITS[resource])
            story.say(f"Half of all hosts are below {median}.")
    _tell_tag(fleet, hosts, story)


def _shown(story: Story, what: str, value: float, unit: str) -> str:
    return story.percent(what, value) if unit == "percent" else f"{story.number(what, value, unit)} {_WORDS[unit]}"


def _tell_tag(fleet: Fleet, hosts: Mapping[int, _Held], story: Story) -> None:
    """Say which tag these hosts share that few others bear."""
    known = [fleet.tags[host_id] for host_id in hosts if host_id in fleet.tags]
    if len(known) < _FEWEST_TO_SHARE:
        return
    bearing = Counter(tag for mine in known for tag in mine)
    # A tag that all hosts bear says nothing of these.
    share_of_all = len(known) / len(fleet.host_ids)
    shared = [
        tag
        for tag, count in bearing.items()
        if count >= _SHARE_OF_TAG * len(known)
        and count / max(1, fleet.bearers.get(tag, 0)) >= _TIMES_OF_TAG * share_of_all
    ]
    if shared:
        tag = max(shared, key=lambda one: (bearing[one] / max(1, fleet.bearers.get(one, 0)), one))
        those = story.number("of them with the tag", bearing[tag], digits=0)
        some = "them"
        if len(known) < len(hosts):
            some = f"{story.number('looked at for tags', len(known), digits=0)} of them that were looked at for it"
        everyone = story.number("hosts with the tag", max(bearing[tag], fleet.bearers.get(tag, 0)), digits=0)
        story.say(f"{those} of {some} bear the tag {quoted(tag)}, as {everyone} hosts do.")


def _suggestions(fleet: Fleet) -> list[FleetSuggestion]:
    """Return the suggestions of the hosts that were looked at closely; what no script does is told once."""
    each = [(host_id, one) for host_id, verdict in fleet.close.items() for one in verdict.suggestions]
    told: dict[Any, list[tuple[int, Suggestion]]] = {}
    for host_id, one in sorted(each, key=lambda pair: -pair[1].rank):
        told.setdefault((host_id, one.text) if one.issue_type else one.text, []).append((host_id, one))
    merged = []
    for (host_id, one), *others in list(told.values())[:_MOST_SUGGESTIONS]:
        names = [fleet.names[other] for other, _ in others]
        merged.append(FleetSuggestion(**asdict(one), host=fleet.names[host_id], also_hosts=names))
    return merged


def _summary(
    fleet: Fleet, by_resource: Mapping[Resource, Mapping[int, object]], findings: Sequence[FleetFinding]
) -> str:
    looked_at = len(fleet.host_ids)
    if not looked_at:
        return "No host was heard of in the last quarter of an hour."
    only = ""
    if looked_at < fleet.monitored:
        only = f" Of {fleet.monitored:,} monitored hosts {looked_at:,} were looked at: most of the others are silent."
    if not findings:
        return f"Nothing that is measured holds any of {looked_at:,} hosts back.{only}"
    count = len({host_id for hosts in by_resource.values() for host_id in hosts})
    if count == findings[0].value:
        return findings[0].text + only
    return f"{count:,} of {looked_at:,} hosts {'are' if count > 1 else 'is'} held back. {findings[0].text}{only}"
