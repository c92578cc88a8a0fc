"""The oracle: what the hosts' ledgers say, held against the store, host by host, by nothing of the product's own.

A snapshot is known again by the number in it, so it does not matter under which position it was stored. What is not
there is lost, unless the collector declared a gap over it for a reason that it may have.
"""

import math
import struct
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cli.bench.faults.expected_events import CPU_HIGH, CPU_SPIKE, DISK_FULL, Expected, Rule, Seen, nearest_course
from cli.bench.faults.ledger import Made
from cli.bench.faults.life import IDENTITY, MOUNT
from store.testimony import StoredEvent, StoredGap, StoredSnapshot
from wire.metrics import NAMES

_MAY_BE_DECLARED = "the spool was full"
_SILENT_SECONDS = 30.0
_MOST_FINDINGS = 20
_RULES: Mapping[tuple[str, str], tuple[Rule, str]] = {
    ("cpu_high", ""): (CPU_HIGH, "cpu_percent"),
    ("cpu_spike", ""): (CPU_SPIKE, "cpu_percent"),
    ("disk_full", MOUNT): (DISK_FULL, "disk_percent"),
}


@dataclass(frozen=True)
class Witnessed:
    """All that is known of one host, from both sides."""

    host_id: int
    made: Sequence[Made]
    """By its ledger."""
    snapshots: Sequence[StoredSnapshot]
    gaps: Sequence[StoredGap]
    events: Sequence[StoredEvent]
    pushed: frozenset[str]
    """The digests of the bodies that were seen on their way."""
    may_overflow: bool
    """Whether its spool is so small that it may declare gaps."""
    clock_was_right: bool


@dataclass
class Verdict:
    """What was found. All but the first four are 0 where nothing is wrong."""

    produced: int = 0
    """Snapshots that the hosts made and the spool took; those of which it is not known count where they are stored."""
    stored: int = 0
    declared: int = 0
    """Not stored, with a gap that the collector declared and the store shows."""
    events: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    """Stored otherwise than they were made, or never made at all."""
    wrong_events: int = 0
    """Missing, doubled or invented."""
    findings: list[str] = field(default_factory=list)
    """The first of what is wrong, in words."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.changed or self.wrong_events)

    def add(self, other: "Verdict") -> None:
        """Add what was found of another host."""
        for name in ("produced", "stored", "declared", "events", "lost", "duplicated", "changed", "wrong_events"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings = (self.findings + other.findings)[:_MOST_FINDINGS]

    def note(self, finding: str) -> None:
        """Put in words what is wrong."""
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)


def judge(host: Witnessed) -> Verdict:
    """Judge one host."""
    verdict = Verdict()
    made = {one.number: one for one in host.made}
    rows: defaultdict[int, list[StoredSnapshot]] = defaultdict(list)
    for row in host.snapshots:
        rows[int(row.metrics[IDENTITY] or 0)].append(row)
    bases = _bases(host.made)
    for number, found in rows.items():
        _judge_rows(verdict, host.host_id, number, made.get(number), found, bases)
    declared = _declared(host, bases)
    for number, one in made.items():
        if number not in rows and one.place is not None:
            if one.place.ordinal in declared:
                verdict.declared += 1
            else:
                verdict.lost += 1
                verdict.note(f"host {host.host_id}: snapshot {number}, given {one.place}, is not stored")
    digests = {one.digest for one in host.made}
    for _ in host.pushed - digests:
        verdict.changed += 1
        verdict.note(f"host {host.host_id} pushed a body that it never made")
    verdict.stored = len(rows.keys() & made.keys())
    verdict.produced = verdict.stored + verdict.declared + verdict.lost
    _judge_events(verdict, host, [made[number] for number in sorted(rows.keys() & made.keys())])
    return verdict


def _bases(made: Sequence[Made]) -> dict[int, int]:
    """Return for each incarnation the ordinal before its first sequence."""
    return {one.place.incarnation: one.place.ordinal - one.place.sequence for one in made if one.place}


def _judge_rows(
    verdict: Verdict,
    host_id: int,
    number: int,
    one: Made | None,
    found: Sequence[StoredSnapshot],
    bases: Mapping[int, int],
) -> None:
    verdict.duplicated += len(found) - 1
    if len(found) > 1:
        verdict.note(f"host {host_id}: snapshot {number} is stored {len(found)} times")
    row = found[0]
    if one is None:
        wrong = "was never made"
    elif any(_as_float32(row.metrics[name]) != value for name, value in _as_stored(one.core).items()):
        wrong = "is stored with other values"
    elif one.place and row.incarnation in bases and bases[row.incarnation] + row.sequence != one.place.ordinal:
        wrong = f"is stored as {row.incarnation}:{row.sequence}, which is not its place {one.place}"
    else:
        return
    verdict.changed += 1
    verdict.note(f"host {host_id}: snapshot {number} {wrong}")


def _as_stored(core: bytes) -> dict[str, float | None]:
    """Return the core metrics by name, None for what is missing or cannot be (docs/metrics.md)."""
    values = struct.unpack(f"<{len(NAMES)}f", core)
    return {name: value if _is_possible(name, value) else None for name, value in zip(NAMES, values, strict=True)}


def _as_float32(value: float | None) -> float | None:
    """Return a REAL as it is: what a database prints of it is the shortest decimal that means the same float32."""
    return None if value is None else float(struct.unpack("<f", struct.pack("<f", value))[0])


def _is_possible(name: str, value: float) -> bool:
    if not math.isfinite(value):
        return False
    if name.endswith("_percent") and name != "collector_cpu_percent":
        return 0.0 <= value <= 100.0
    return value >= 0.0 or name == "temperature_celsius"


def _declared(host: Witnessed, bases: Mapping[int, int]) -> set[int]:
    """Return the ordinals that lie in a gap that the collector could rightly declare."""
    return {
        bases[gap.incarnation] + sequence
        for gap in host.gaps
        if host.may_overflow and gap.reason == _MAY_BE_DECLARED and gap.incarnation in bases
        for sequence in range(gap.first_sequence, gap.last_sequence + 1)
    }


def _judge_events(verdict: Verdict, host: Witnessed, stored: Sequence[Made]) -> None:
    found: defaultdict[tuple[str, str], list[Expected]] = defaultdict(list)
    for event in host.events:
        if event.type == "host_down":
            _judge_silence(verdict, host, event)
        else:
            found[event.type, event.subject].append(_told(event))
    verdict.events = sum(map(len, found.values()))
    resumed = _resumed(host.snapshots)
    for kind in sorted(_RULES.keys() | found.keys()):
        right: tuple[Expected, ...] = ()
        if kind in _RULES:
            rule, metric = _RULES[kind]
            values = ((one.number, _as_stored(one.core)[metric]) for one in stored)
            seen = [Seen(number, math.nan if value is None else value, number in resumed) for number, value in values]
            right = nearest_course(rule, seen, host.clock_was_right, found[kind])
        missing, invented = _without(right, found[kind]), _without(found[kind], right)
        verdict.wrong_events += len(missing) + len(invented)
        if missing or invented:
            verdict.note(f"host {host.host_id}: of {kind} missing: {missing}, stored but unexpected: {invented}")


def _resumed(snapshots: Sequence[StoredSnapshot]) -> set[int]:
    """Return the numbers of the snapshots that came after the host was silent for longer than it may be."""
    taken = [(int(row.metrics[IDENTITY] or 0), row.metrics["taken_at"] or 0.0) for row in snapshots]
    return {number for (_, before), (number, at) in pairwise(taken) if at - before > _SILENT_SECONDS}


def _judge_silence(verdict: Verdict, host: Witnessed, event: StoredEvent) -> None:
    """See that a host is down only after it was silent, and no more when all is acknowledged."""
    opened = [event.opened_at, *([event.reopened_at] if event.reopened_at else [])]
    heard = any(at - _SILENT_SECONDS < row.received_at < at for row in host.snapshots for at in opened)
    # One that flaps is held open after all is well.
    if heard or (event.state == "open" and not event.flapping):
        verdict.wrong_events += 1
        verdict.note(f"host {host.host_id} is not down, but for {event}")


def _told(event: StoredEvent) -> Expected:
    first, peak = (math.nan if value is None else value for value in (event.first_value, event.peak_value))
    return Expected(first, peak, event.severity, event.state, event.openings, bool(event.flapping))


def _without(these: Sequence[Expected], those: Sequence[Expected]) -> list[Expected]:
    return list((Counter(these) - Counter(those)).elements())
