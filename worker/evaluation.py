"""A batch of snapshots through the rules: what opens, changes and resolves. Pure.

The rules look at all rows at once; only rows in breach, and those of hosts with a pending or open event, are then
looked at one by one, and only where a rule asks for it are details decoded.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from wire.metrics import INDEX
from wire.snapshot import Details, Unreadable
from worker.detection.batch import Batch
from worker.detection.finding import Finding, Severity, Verdict, verdict_of
from worker.detection.host_limits import NO_POLICIES, BatchLimits, HostLimits
from worker.detection.limits import Limit
from worker.detection.rule import HostRule, SubjectRule
from worker.detection.rules import RULES
from worker.events import Change, Step, Track, advance, is_over

HOST_DOWN = "host_down"
"""Opened by a sweep, as it is the absence of snapshots; any snapshot resolves it."""
MOST_SUBJECTS = 64
"""Of one rule on one host that are followed at a time, so that no host can flood the events."""

_HEARD = Finding("", Verdict.CLEAR, None, "critical")
_WAS_SILENT = _HEARD._replace(verdict=Verdict.HOLDS)
_SWITCHED_OFF = Finding("", Verdict.CLEAR, None, "low")
_AT_ONCE = Limit(0.0, opens_after_seconds=0.0, minimum_snapshots=1)
_METRICS = [INDEX[rule.metric] for rule in RULES]
_RANK = {Verdict.MISSING: 0, Verdict.CLEAR: 1, Verdict.HOLDS: 2, Verdict.BREACH: 3}

_NONE: frozenset[str] = frozenset()
_NOTHING: Mapping[str, Any] = MappingProxyType({})

_Tracks = dict[tuple[str, str], Track]


class EventChange(Struct, frozen=True, kw_only=True):
    """An event that is new, or has changed. Times are Unix seconds."""

    host: int
    """Its place in the batch."""
    type: str
    subject: str
    """Empty where the host itself is the subject."""
    severity: Severity
    state: Literal["open", "resolved"]
    limit: float | None
    first_value: float | None
    value: float | None
    peak_value: float | None
    peak_at: float | None
    started_at: float
    opened_at: float
    last_at: float
    resolved_at: float | None
    openings: int
    reopened_at: float | None
    flapping: bool
    evidence: dict[str, Any]
    """Of the moment it last opened; empty unless ``is_new`` or ``reopens``."""
    is_new: bool
    """To be inserted; otherwise it is the event of this host, type and subject that is open, or that ``reopens``."""
    reopens: bool
    """It opened again, whatever became of it since: found by ``opened_at``."""


@dataclass
class Evaluation:
    """What a batch changes."""

    changes: list[EventChange] = field(default_factory=list)
    """For one host, type and subject at most one that is not new, which is to be applied before the new ones. New
    ones may have resolved already; at most one of them is open.
    """
    tracks: dict[int, list[Track]] = field(default_factory=dict)
    """By the host's place, of hosts whose tracks changed."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Rows whose details were needed and could not be read, and why."""
    opened_rows: set[int] = field(default_factory=set)
    """Rows whose snapshot opened an event, or opened it again."""


def evaluate(
    batch: Batch,
    tracks: Mapping[int, list[Track]],
    details_of: Callable[[int], Details],
    limits: BatchLimits = NO_POLICIES,
) -> Evaluation:
    """Run the rules over a batch.

    ``tracks`` are those of the hosts that have any, by the host's place; ``details_of`` decodes a row's details and
    raises wire.snapshot.Unreadable.
    """
    breaches = np.stack([rule.breaches(batch, limits.gate(rule.type, batch.host)) for rule in RULES], axis=1)
    hosts = sorted({*batch.host[breaches.any(axis=1)].tolist(), *(host for host, mine in tracks.items() if mine)})
    firsts = np.searchsorted(batch.host, hosts)
    counts = np.searchsorted(batch.host, hosts, side="right") - firsts
    rows = np.repeat(firsts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    core = batch.core[rows[:, None], _METRICS]
    readings = zip(rows.tolist(), batch.taken_at[rows].tolist(), core.tolist(), breaches[rows].tolist(), strict=True)
    evaluation = Evaluation()
    for host, count in zip(hosts, counts.tolist(), strict=True):
        known = {(track.type, track.subject): track for track in tracks.get(host, ())}
        one = _Host(host, dict(known), details_of, limits.of_host(host), evaluation)
        for reading in islice(readings, count):
            one.see(*reading)
        if one.tracks != known:
            evaluation.tracks[host] = list(one.tracks.values())
    return evaluation


class _Host:
    """One host's events over its rows of the batch."""

    def __init__(
        self,
        host: int,
        tracks: _Tracks,
        details_of: Callable[[int], Details],
        limits: HostLimits,
        evaluation: Evaluation,
    ) -> None:
        self.tracks = tracks
        self._host = host
        self._details_of = details_of
        self._limits = limits
        self._evaluation = evaluation
        self._change_at: dict[tuple[str, str], int] = {}
        """Where in the changes the last event of a type and subject is."""

    def see(self, row: int, taken_at: float, values: list[float], in_breach: list[bool]) -> None:
        """Advance the host's events by one snapshot, ``values`` and ``in_breach`` in the order of the rules."""
        live: defaultdict[str, set[str]] = defaultdict(set)
        for key, track in list(self.tracks.items()):
            if is_over(track, taken_at):
                del self.tracks[key]
            elif track.state != "resolved":
                live[track.type].add(track.subject)
        if HOST_DOWN in live:
            down = self.tracks[HOST_DOWN, ""]
            self._step((HOST_DOWN, ""), advance(HOST_DOWN, down, _hearing(down, taken_at), _AT_ONCE, taken_at))
        if self._limits.switch_off:
            self._end_switched_off(taken_at, live)
        details = _Lazy(row, self._details_of, self._evaluation.unreadable)
        for rule, value, breach in zip(RULES, values, in_breach, strict=True):
            mine = live.get(rule.type, _NONE)
            if math.isnan(value) or not (breach or mine):
                continue
            for finding in _findings(rule, self._limits, value, breach, mine, details):
                key = rule.type, finding.subject
                limit = self._limits.of(*key)
                step = advance(rule.type, self.tracks.get(key), finding, limit, taken_at)
                evidence = _NOTHING
                if step.change in ("opened", "reopened"):
                    self._evaluation.opened_rows.add(row)
                    evidence = {"taken_at": taken_at} | _evidence(rule, finding.subject, details)
                self._step(key, step, evidence)

    def _end_switched_off(self, taken_at: float, live: Mapping[str, set[str]]) -> None:
        """Resolve at once what is open though it is switched off, also what flaps, and forget what was to open."""
        for event_type, subjects in live.items():
            for subject in [one for one in subjects if not self._limits.of(event_type, one).enabled]:
                subjects.discard(subject)
                track = replace(self.tracks[event_type, subject], flapping=False)
                self._step((event_type, subject), advance(event_type, track, _SWITCHED_OFF, _AT_ONCE, taken_at))

    def _step(self, key: tuple[str, str], step: Step, evidence: Mapping[str, Any] = _NOTHING) -> None:
        if step.track is None:
            self.tracks.pop(key, None)
            return
        self.tracks[key] = step.track
        if step.change is None:
            return
        if step.change == "resolved":
            self._keep_few(key[0])
        change = event_change(self._host, step.track, step.change, evidence)
        changes = self._evaluation.changes
        place = None if step.change == "opened" else self._change_at.get(key)
        if place is None:
            self._change_at[key] = len(changes)
            changes.append(change)
        else:
            before = changes[place]
            changes[place] = replace(
                change,
                evidence=change.evidence or before.evidence,
                is_new=before.is_new,
                reopens=before.reopens or change.reopens,
            )

    def _keep_few(self, event_type: str) -> None:
        """Of a type with more tracks than may be, drop those that resolved first."""
        mine = [key for key in self.tracks if key[0] == event_type]
        if len(mine) > MOST_SUBJECTS:
            past = [key for key in mine if self.tracks[key].state == "resolved"]
            past.sort(key=lambda key: self.tracks[key].last_at)
            for key in past[: len(mine) - MOST_SUBJECTS]:
                del self.tracks[key]


class _Lazy:
    """The details of one row, decoded when first asked for; None where they cannot be read."""

    def __init__(self, row: int, details_of: Callable[[int], Details], unreadable: dict[int, str]) -> None:
        self.row = row
        self.unreadable = unreadable
        self._details_of = details_of
        self._details: Details | None = None

    def get(self) -> Details | None:
        if self._details is None and self.row not in self.unreadable:
            try:
                self._details = self._details_of(self.row)
            except Unreadable as error:
                self.unreadable[self.row] = str(error)
        return self._details


def _findings(
    rule: HostRule | SubjectRule, limits: HostLimits, value: float, breach: bool, mine: Set[str], details: _Lazy
) -> Iterable[Finding]:
    if isinstance(rule, HostRule):
        limit = limits.of(rule.type)
        return [Finding("", verdict_of(value, breach, limit), value, limit.severity or rule.severity(value, limit))]
    read = details.get()
    if read is None:
        return []
    limit_of = partial(limits.of, rule.type)
    found = list(rule.findings(read, limit_of))
    # Otherwise the core vector tells of a breach that the details do not show: they were too long to be sent, so
    # that a subject is not there says nothing.
    is_complete = not breach or any(_is_shown(finding, limits.lowest(rule.type)) for finding in found)
    return _of_subjects([_governed(finding, limit_of(finding.subject)) for finding in found], is_complete, mine)


def _is_shown(finding: Finding, lowest: float) -> bool:
    """Tell whether a finding can be what the gate saw, whatever its own limit is."""
    return finding.verdict is Verdict.BREACH or (finding.value is not None and finding.value > lowest)


def _governed(finding: Finding, limit: Limit) -> Finding:
    """Return a finding as its subject's policies want it."""
    if not limit.enabled:
        return finding._replace(verdict=Verdict.CLEAR)
    return finding if limit.severity is None else finding._replace(severity=limit.severity)


def _of_subjects(findings: Iterable[Finding], is_complete: bool, mine: Set[str]) -> list[Finding]:
    """Return one finding for each subject in ``mine``, and the worst of the others in breach, as many as may be."""
    by_subject: dict[str, Finding] = {}
    for finding in sorted(findings, key=_badness):
        by_subject[finding.subject] = finding
    found = [finding for subject, finding in by_subject.items() if subject in mine]
    new = [one for subject, one in by_subject.items() if one.verdict is Verdict.BREACH and subject not in mine]
    # Without a name there is no telling it from the host.
    new = [finding for finding in new if finding.subject]
    if is_complete:
        found += [Finding(subject, Verdict.CLEAR, None, "low") for subject in sorted(mine - by_subject.keys())]
    room = max(0, MOST_SUBJECTS - len(mine))
    new.sort(key=lambda finding: (-(finding.value or 0.0), finding.subject))
    return found + new[:room]


def _badness(finding: Finding) -> tuple[int, float]:
    value = 0.0 if finding.value is None or finding.verdict is Verdict.MISSING else finding.value
    return _RANK[finding.verdict], value


def _evidence(rule: HostRule | SubjectRule, subject: str, details: _Lazy) -> dict[str, Any]:
    read = details.get()
    return {"unreadable": details.unreadable[details.row]} if read is None else rule.evidence(read, subject)


def _hearing(down: Track, taken_at: float) -> Finding:
    """Return what a snapshot says of a silent host: one that flaps is clear only as long as it is not silent again."""
    is_silent_again = down.clearing and down.limit is not None and taken_at - down.read_at > down.limit
    return _WAS_SILENT if is_silent_again else _HEARD


def event_change(host: int, track: Track, change: Change, evidence: Mapping[str, Any] = _NOTHING) -> EventChange:
    """Return a change of an event as its track tells it."""
    return EventChange(
        host=host,
        type=track.type,
        subject=track.subject,
        severity=track.severity,
        state="resolved" if change == "resolved" else "open",
        limit=track.limit,
        first_value=track.first_value,
        value=track.value,
        peak_value=track.peak_value,
        peak_at=track.peak_at,
        started_at=track.started_at,
        opened_at=track.opened_at,
        last_at=track.last_at,
        resolved_at=track.last_at if change == "resolved" else None,
        openings=track.openings,
        reopened_at=track.reopened_at,
        flapping=track.flapping,
        evidence=dict(evidence),
        is_new=change == "opened",
        reopens=change == "reopened",
    )
