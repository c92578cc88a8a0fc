"""The oracle of ``bench faults`` sees what it is there for; hosts and stores are made by hand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cli.bench.faults.expected_events import CPU_HIGH, CPU_SPIKE, DISK_FULL, Expected, Rule, Seen, nearest_course
from cli.bench.faults.ledger import Ledger, Made, Place, digest, read
from cli.bench.faults.life import MOUNT
from cli.bench.faults.life import read as reading
from cli.bench.faults.oracle import Witnessed, judge
from cli.bench.faults.witness import Witness
from store.testimony import StoredEvent, StoredGap, StoredSnapshot
from tests.worker.snapshots import batch, seen
from wire.entry import KEY_BYTES, seal
from wire.metrics import CATALOGUE, NAMES, unpack_core
from wire.snapshot import Details
from worker.evaluation import EventChange, evaluate

COUNT = 9
"""Snapshots that the host makes; nothing is wrong with it until then."""


def made(number: int) -> Made:
    core, body = reading(0, number, 1e9)
    return Made(number, core, digest(body), Place(7, number, 100 + number))


def stored(number: int, **changed: float) -> StoredSnapshot:
    values = unpack_core(made(number).core)
    limits = {metric.name: metric for metric in CATALOGUE}
    possible = {name: value for name, value in values.items() if limits[name].minimum <= value <= limits[name].maximum}
    return StoredSnapshot(
        1, 7, number, 1e9 + number, {"taken_at": 1e9 + number} | dict.fromkeys(NAMES) | possible | changed
    )


GOOD = Witnessed(
    1,
    [made(number) for number in range(1, COUNT + 1)],
    [stored(number) for number in range(1, COUNT + 1)],
    [],
    [],
    frozenset(made(number).digest for number in range(1, COUNT + 1)),
    may_overflow=False,
    clock_was_right=True,
)
GAP = StoredGap(1, 7, 4, 4, "the spool was full")
EVENT = StoredEvent(1, "memory_high", "", "high", "open", 91.0, 91.0, 1e9, None, 1, False)
DOWN = StoredEvent(1, "host_down", "", "critical", "resolved", 31.0, 31.0, 1e9 + 5, None, 1, False)


def without(number: int) -> list[StoredSnapshot]:
    return [row for row in GOOD.snapshots if row.sequence != number]


def test_a_host_with_which_nothing_is_wrong_is_clean() -> None:
    verdict = judge(GOOD)
    assert (verdict.is_clean, verdict.produced, verdict.stored, verdict.findings) == (True, COUNT, COUNT, [])


@pytest.mark.parametrize(
    ("host", "what"),
    [
        (replace(GOOD, snapshots=without(4)), "lost"),
        # A spool that could not overflow declares a gap; another gives a reason that it may not have.
        (replace(GOOD, snapshots=without(4), gaps=[GAP]), "lost"),
        (
            replace(GOOD, snapshots=without(4), gaps=[GAP._replace(reason="the server lost it")], may_overflow=True),
            "lost",
        ),
        (replace(GOOD, snapshots=without(4), gaps=[GAP], may_overflow=True), "declared"),
        (replace(GOOD, snapshots=[*GOOD.snapshots, stored(4)._replace(incarnation=8, sequence=1)]), "duplicated"),
        (replace(GOOD, snapshots=[*without(4), stored(4, load_1=0.125)]), "changed"),
        (replace(GOOD, snapshots=[*without(4), stored(4)._replace(sequence=10)]), "changed"),
        (replace(GOOD, snapshots=[*GOOD.snapshots, stored(10)]), "changed"),
        (replace(GOOD, pushed=GOOD.pushed | {made(10).digest}), "changed"),
        (replace(GOOD, events=[EVENT]), "wrong_events"),
        (replace(GOOD, events=[DOWN]), "wrong_events"),
    ],
)
def test_each_kind_of_wrong_is_seen_once(host: Witnessed, what: str) -> None:
    verdict = judge(host)
    kinds = ("declared", "lost", "duplicated", "changed", "wrong_events")
    assert {kind: getattr(verdict, kind) for kind in kinds} == dict.fromkeys(kinds, 0) | {what: 1}


def test_a_snapshot_of_a_host_that_was_killed_while_it_spooled_may_be_there_or_not() -> None:
    unsure = [*GOOD.made[:-1], replace(GOOD.made[-1], place=None)]
    for snapshots in (GOOD.snapshots, without(COUNT)):
        verdict = judge(replace(GOOD, made=unsure, snapshots=snapshots))
        assert (verdict.is_clean, verdict.produced) == (True, len(snapshots))


def test_an_event_that_is_missing_or_there_twice_is_wrong() -> None:
    numbers = range(1, 60)
    full = nearest_course(DISK_FULL, disk(numbers), clock_is_right=True, stored=[])
    events = [StoredEvent(1, "disk_full", MOUNT, *_row(one)) for one in full]
    assert len(events) > 0
    host = replace(GOOD, made=[made(number) for number in numbers], snapshots=[stored(number) for number in numbers])
    whole = judge(host).wrong_events
    assert judge(replace(host, events=events)).wrong_events == whole - len(events)
    assert judge(replace(host, events=[*events, events[0]])).wrong_events == whole - len(events) + 1


def disk(numbers: Sequence[int]) -> list[Seen]:
    return [Seen(number, unpack_core(made(number).core)["disk_percent"]) for number in numbers]


def _row(one: Expected) -> tuple[str, str, float, float, float, float | None, int, bool]:
    reopened_at = 1e9 if one.openings > 1 else None
    return one.severity, one.state, one.first_value, one.peak_value, 1e9, reopened_at, one.openings, one.flapping


HIGH, CRITICAL = Expected(90, 90, "high", "open"), Expected(90, 95, "critical", "open")
RESOLVED = HIGH._replace(state="resolved")
AGAIN = CRITICAL._replace(openings=2)
FLAPPING = HIGH._replace(openings=3, flapping=True)
LEAP = HIGH._replace(severity="medium")


@pytest.mark.parametrize(
    ("rule", "values", "stored", "right"),
    [
        (DISK_FULL, [50, 90, 50], (), ()),
        (DISK_FULL, [90, 88], (), (HIGH,)),
        (DISK_FULL, [90, 95, 70, 83, 70], (), (CRITICAL,)),
        (DISK_FULL, [90, 90, 70, 70], (HIGH,), (RESOLVED,)),
        # 10 s are too short for 30, 60 are enough; between them either may be.
        (CPU_HIGH, [90, 90, 10], (HIGH,), ()),
        (CPU_HIGH, [90] * 7, (), (HIGH,)),
        (CPU_HIGH, [90] * 4, (HIGH,), (HIGH,)),
        (CPU_HIGH, [90] * 4, (CRITICAL,), ()),
        # The same figures as an event before.
        (CPU_HIGH, [*[90] * 7, *[70] * 80, *[90] * 7, *[70] * 3], (RESOLVED, HIGH), (RESOLVED, HIGH)),
        # Soon again it is the same event; late it is another; between the two either may be.
        (DISK_FULL, [90, 90, 70, 70, 90, 95], (), (AGAIN,)),
        (DISK_FULL, [90, 90, *[70] * 70, 90, 90], (), (RESOLVED, HIGH)),
        (DISK_FULL, [90, 90, *[70] * 61, 90, 95], (AGAIN,), (AGAIN,)),
        (DISK_FULL, [90, 90, *[70] * 61, 90, 95], (RESOLVED, CRITICAL), (RESOLVED, CRITICAL)),
        # One snapshot is no second opening.
        (DISK_FULL, [90, 90, 70, 70, 95, 70], (), (RESOLVED,)),
        # The third opening flaps, until it was clear for long.
        (DISK_FULL, [*[90, 90, 70, 70] * 3], (), (FLAPPING,)),
        (DISK_FULL, [*[90, 90, 70, 70] * 3, *[70] * 95], (), (FLAPPING._replace(state="resolved"),)),
        (DISK_FULL, [*[90, 90, *[70] * 50] * 5], (), (FLAPPING,)),
        # A leap is held.
        (CPU_SPIKE, [10, 90, 10, 10], (), (LEAP,)),
        (CPU_SPIKE, [10, 90, *[10] * 12], (), (LEAP._replace(state="resolved"),)),
    ],
)
def test_what_is_right_for_a_run_of_values(
    rule: Rule, values: list[float], stored: tuple[Expected, ...], right: tuple[Expected, ...]
) -> None:
    seen = [Seen(*one) for one in enumerate(values, 1)]
    assert nearest_course(rule, seen, clock_is_right=True, stored=stored) == right


@pytest.mark.parametrize("clock_is_right", [True, False])
def test_what_the_rules_make_of_the_life_of_hosts_is_right_and_of_every_kind(clock_is_right: bool) -> None:
    kinds = set()
    for place in (0, 6):
        cores = [unpack_core(made_at(place, number)) for number in range(1, 500)]
        said = [seen(1e9 + 10 * step, cpu_percent=core["cpu_percent"]) for step, core in enumerate(cores)]
        changes = evaluate(batch(said), {}, lambda _: Details()).changes
        for event_type, rule in (("cpu_high", CPU_HIGH), ("cpu_spike", CPU_SPIKE)):
            values = [Seen(number, core["cpu_percent"]) for number, core in enumerate(cores, 1)]
            stored = [
                Expected(one.first_value or 0.0, one.peak_value or 0.0, one.severity, one.state, *life(one))
                for one in changes
                if one.type == event_type
            ]
            assert Counter(nearest_course(rule, values, clock_is_right, stored)) == Counter(stored)
            kinds |= {life(one) for one in changes}
    assert {(1, False), (2, False), (3, True), (4, True)} <= kinds


def made_at(place: int, number: int) -> bytes:
    return reading(place, number, 1e9).core


def life(change: EventChange) -> tuple[int, bool]:
    return change.openings, change.flapping


def test_a_ledger_whose_last_line_was_cut_short_goes_on_after_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    ledger = Ledger(file)
    for number in (1, 2):
        ledger.begin(number, b"core", b"body")
        ledger.kept(number, Place(7, number, number))
    ledger.close()
    file.write_bytes(file.read_bytes()[:-3])
    ledger = Ledger(file)
    assert ledger.last == 2
    ledger.begin(3, b"core", b"body")
    assert [(one.number, one.place) for one in read(file)] == [(1, Place(7, 1, 1)), (2, None), (3, None)]


def test_the_witness_reads_entries_whatever_the_pieces_they_come_in() -> None:
    body = reading(0, 1, 1e9).body
    entry = seal(bytes(KEY_BYTES), 5, 7, 1, 1e9, body)
    words = [b"RPUSH", b"inbox", entry]
    sent = b"*1\r\n$4\r\nPING\r\n*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in words
    )
    witness = Witness()
    for place in range(0, len(sent), 7):
        witness.hear(1, sent[place : place + 7])
    assert witness.latest() == [(b"inbox", entry)]
    assert witness.bodies() == {(5, digest(body))}


def test_a_leap_across_a_silence_may_count_or_not() -> None:
    seen = [Seen(1, 10.0), Seen(2, 90.0, after_silence=True)]
    spike = Expected(90.0, 90.0, "medium", "open")
    assert nearest_course(CPU_SPIKE, seen, True, []) == ()
    assert nearest_course(CPU_SPIKE, seen, True, [spike]) == (spike,)
    assert nearest_course(CPU_SPIKE, [seen[0], seen[1]._replace(after_silence=False)], True, []) == (spike,)
