"""What is known of an event in, the sentence out."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.test_snapshot import DETAILS
from wire.snapshot import Details, Filesystem, Process, Service
from wire.text import visible
from worker.explanation.case import Case, Usual, View
from worker.explanation.sentence import explain

MIDNIGHT = 1_799_971_200.0
MIB = 2.0**20
GIB = 2.0**30


def at(clock: str) -> float:
    hour, minute, *second = map(int, clock.split(":"))
    return MIDNIGHT + 3600 * hour + 60 * minute + (second[0] if second else 0)


def process(name: str, pid: int, started: str = "02:00", cpu_percent: float = 0.0, memory_gib: float = 0.0) -> Process:
    return Process(pid, at(started), name, "ada", cpu_percent, 100 * memory_gib / 32, memory_gib * GIB)


def host(clock: str, *processes: Process, **details: Any) -> View:
    """Return a host of 32 GiB as it was at that time."""
    by_cpu = tuple(sorted((one for one in processes if one.cpu_percent), key=lambda one: -one.cpu_percent))
    by_memory = tuple(sorted((one for one in processes if one.memory_bytes), key=lambda one: -one.memory_bytes))
    return View(at(clock), Details(processes_by_cpu=by_cpu, processes_by_memory=by_memory, **details))


def case(type: str, value: float | None = None, limit: float | None = None, **known: Any) -> Case:  # noqa: A002
    """Return an event that was first seen at 10:02 and opened at 10:02:30."""
    rest: dict[str, Any] = {"subject": "", "evidence": {}, "started_at": at("10:02"), "opened_at": at("10:02:30")}
    return Case(type=type, value=value, limit=limit, **rest | known)


NOTHING = "Nothing is known to have changed on the host at that time."

CASES = {
    "a process was started and takes the CPU": (
        case(
            "cpu_high",
            97.2,
            85,
            usual=Usual(11.6, 31.2, "at this hour"),
            view=host("10:02:30", process("stress", 4711, "10:01:10", cpu_percent=190), process("idle", 7)),
        ),
        "CPU at 97.2 % (limit 85 %) since 10:02 UTC; usually 12 to 31 % at this hour. "
        "At 10:01 `stress` (pid 4711) was started and uses 190 % of one CPU.",
    ),
    "the CPU is taken by what runs since long": (
        case("cpu_high", 97, 85, view=host("10:02:30", process("java", 7, cpu_percent=390, memory_gib=2))),
        f"CPU at 97 % (limit 85 %) since 10:02 UTC. Most is used by `java` (pid 7): 390 % of one CPU. {NOTHING}",
    ),
    "the host booted, and packages were upgraded before": (
        case(
            "cpu_high",
            97,
            85,
            view=host(
                "10:02:30", process("java", 7, cpu_percent=90), booted_at=at("10:00"), packages_changed_at=at("9:55")
            ),
        ),
        "CPU at 97 % (limit 85 %) since 10:02 UTC. Most is used by `java` (pid 7): 90 % of one CPU. "
        "At 09:55 packages were installed, upgraded or removed. At 10:00 the host booted.",
    ),
    "nothing is known but the figures": (case("cpu_high", 97, 85), "CPU at 97 % (limit 85 %) since 10:02 UTC."),
    "a leap from what is usual on the first day": (
        case(
            "cpu_spike",
            93,
            50,
            usual=Usual(3, 9, "in the hour before"),
            evidence={"processes": [{"pid": 9, "name": "make", "start_time": at("10:01:59"), "cpu_percent": 700}]},
        ),
        "CPU leapt to 93 % (limit 50 %) at 10:02 UTC; usually 3 to 9 % in the hour before. "
        "At 10:01 `make` (pid 9) was started and uses 700 % of one CPU.",
    ),
    "a process grows": (
        case(
            "memory_high",
            94,
            90,
            usual=Usual(60.2, 60.4, "in the day before"),
            view=host("10:02:30", process("java", 7, memory_gib=9.3), process("sshd", 8, memory_gib=0.5)),
            earlier=host("9:55", process("java", 7, memory_gib=7.2), process("sshd", 8, memory_gib=0.5)),
        ),
        "Memory at 94 % (limit 90 %) since 10:02 UTC; usually 60 % in the day before. "
        "By 10:02 `java` (pid 7) had grown by 2.1 GiB to 9.3 GiB within 7 min.",
    ),
    "another process under the pid of one that ended has not grown": (
        case(
            "memory_high",
            94,
            90,
            view=host("10:02:30", process("java", 7, "9:58", memory_gib=9.3)),
            earlier=host("9:55", process("java", 7, "9:00", memory_gib=1)),
        ),
        "Memory at 94 % (limit 90 %) since 10:02 UTC. At 09:58 `java` (pid 7) was started and holds 9.3 GiB of memory.",
    ),
    "a filesystem that was less full": (
        case(
            "disk_full",
            96.2,
            85,
            subject="/var",
            evidence={"filesystem": {"mount": "/var", "used_bytes": 38.48 * GIB, "size_bytes": 40 * GIB}},
            view=host("10:02:30"),
            earlier=host("9:55", filesystems=(Filesystem("/var", "/dev/sda1", "ext4", 40 * GIB, 20 * GIB, 50.0),)),
        ),
        "`/var` at 96.2 % (limit 85 %), 38.5 GiB of 40 GiB used, since 10:02 UTC; 50 % at 09:55. " + NOTHING,
    ),
    "a filesystem in which one directory grew": (
        case(
            "disk_full",
            96,
            85,
            subject="/var",
            evidence={
                "directories": [
                    {"path": "/var/cache", "bytes": 30 * GIB, "growth_bytes": 1024.0, "seconds": 600.0},
                    {"path": "/var/log/`a", "bytes": 9 * GIB, "growth_bytes": 3 * GIB, "seconds": 600.0},
                ]
            },
        ),
        "`/var` at 96 % (limit 85 %) since 10:02 UTC; `/var/log/'a` grew most, by 3 GiB within 10 min.",
    ),
    "a filesystem in which none grew that is known": (
        case(
            "disk_full",
            96,
            85,
            subject="/var",
            evidence={"directories": [{"path": "/var/cache", "bytes": 30 * GIB, "growth_bytes": None}]},
        ),
        "`/var` at 96 % (limit 85 %) since 10:02 UTC.",
    ),
    "a filesystem whose past is known by the roll-ups alone": (
        case("disk_full", 96, 85, subject="/var", usual=Usual(60, 62, "in the day before")),
        "`/var` at 96 % (limit 85 %) since 10:02 UTC; the fullest filesystem was at 60 to 62 % in the day before.",
    ),
    "a filesystem that fills up": (
        case(
            "disk_forecast",
            5,
            24,
            subject="/var",
            evidence={
                "forecast": {
                    "of": "bytes",
                    "growth_per_hour_bytes": 1.5 * GIB,
                    "full_in_seconds": 18000.0,
                    "full_in_low_seconds": 12000.0,
                    "full_in_high_seconds": 36000.0,
                    "trend_since_at": at("4:00"),
                }
            },
        ),
        "`/var` will be full in about 5 h (3 h 20 min to 10 h) at its present growth of 1.5 GiB an hour "
        "since 04:00 UTC.",
    ),
    "a host unlike its own past": (
        case(
            "deviation",
            1.6,
            1,
            subject="network_receive_bytes_per_second",
            evidence={
                "kind": "broad",
                "metrics": [
                    {"name": "network_receive_bytes_per_second", "seen": 42.0 * MIB, "expected": 3.0 * MIB},
                    {"name": "cpu_user_percent", "seen": 61.04, "expected": 8.0},
                    {"name": "threads", "seen": 900.0, "expected": 250.0},
                    {"name": "load_1", "seen": 9.0, "expected": 0.5},
                ],
            },
        ),
        "The host has been far from what is usual for it since 10:02 UTC: `network_receive_bytes_per_second` at "
        "42 MiB/s where 3 MiB/s is expected, `cpu_user_percent` at 61 % where 8 % is expected, `threads` at 900 where "
        "250 is expected, and 1 more.",
    ),
    "a host that is where it never was": (
        case(
            "deviation",
            2.0,
            1,
            subject="tcp_connections",
            evidence={
                "kind": "new",
                "metrics": [
                    {
                        "name": "tcp_connections",
                        "seen": 5000.0,
                        "expected": 40.0,
                        "lowest_before": 12.0,
                        "highest_before": 90.0,
                    }
                ],
            },
        ),
        "The host has been where it never was before since 10:02 UTC: `tcp_connections` at 5,000, before 12 to 90.",
    ),
    "a process that holds much memory": (
        case(
            "process_memory_high",
            31,
            25,
            subject="java (pid 7)",
            usual=Usual(3, 5, "at this hour"),
            evidence={
                "process": {
                    "pid": 7,
                    "name": "java",
                    "start_time": at("10:00"),
                    "cpu_percent": None,
                    "memory_percent": 31.0,
                    "memory_bytes": 9.92 * GIB,
                }
            },
        ),
        "`java` (pid 7) holds 31 % of memory (limit 25 %), 9.9 GiB, since 10:02 UTC; "
        "the largest process held 3 to 5 % at this hour. "
        "At 10:00 `java` (pid 7) was started and holds 9.9 GiB of memory.",
    ),
    "a service failed after an upgrade": (
        case(
            "service_down",
            subject="nginx",
            evidence={"service": {"name": "nginx", "state": "failed"}},
            view=host("10:02:30", services=(Service("nginx", False, "failed"),), packages_changed_at=at("10:01")),
            earlier=host("9:55", services=(Service("nginx", True, "active"),)),
        ),
        "The service `nginx` has not been running since 10:02 UTC: its state is `failed`; at 09:55 it was `active`. "
        "At 10:01 packages were installed, upgraded or removed. "
        "By 10:02 the service `nginx` had gone from `active` to `failed`.",
    ),
    "a service whose process is gone": (
        case(
            "service_down",
            subject="db",
            view=host("10:02:30", process("a", 1, memory_gib=1)),
            earlier=host("9:55", process("a", 1, memory_gib=1), process("postgres", 812, memory_gib=20)),
        ),
        "The service `db` has not been running since 10:02 UTC. "
        "By 10:02 `postgres` (pid 812), which held 20 GiB, was no longer among the largest processes.",
    ),
    "a disk fails": (
        case("disk_health", subject="/srv", evidence={"reason": "became read-only: it was read-write before"}),
        "`/srv` has been failing since 10:02 UTC: became read-only: it was read-write before.",
    ),
    "a host falls silent": (
        case("host_down", 31, 30, evidence={"last_seen": at("10:02"), "interval_seconds": 10.0, "never_seen": False}),
        "No snapshot has come since 10:02 UTC; one is due every 10 s; silence may last 30 s.",
    ),
    "a host never spoke": (
        case(
            "host_down", 90, 90, started_at=at("10:02") - 86400, evidence={"interval_seconds": 30, "never_seen": True}
        ),
        "No snapshot has ever come: the host has been waited for since 2027-01-14 10:02 UTC; one is due every 30 s; "
        "silence may last 90 s.",
    ),
    "two machines under one key": (
        case("host_cloned", evidence={"reason": "the same sequence number came with two different snapshots"}),
        "Two machines have pushed under the key of this host since 10:02 UTC: "
        "the same sequence number came with two different snapshots.",
    ),
    "a host that floods": (
        case("host_flooding", evidence={"reason": "it pushes more", "throttled_entries": 1234}),
        "This host has pushed more than any collector does since 10:02 UTC: "
        "1,234 of its entries were passed over at first.",
    ),
    "a type that nobody wrote a sentence for": (
        case("fan_stopped", 7.25, 3, subject="load_1", evidence={"reason": "far above what it was", "x": [1]}),
        "Fan stopped of `load_1` at 7.25 (limit 3) since 10:02 UTC: far above what it was.",
    ),
    "details of another time say nothing": (
        case("cpu_high", 97, 85, view=host("12:00", process("stress", 4711, "10:01", cpu_percent=190))),
        "CPU at 97 % (limit 85 %) since 10:02 UTC.",
    ),
    "a name that would be more than a name": (
        case(
            "cpu_high",
            97,
            85,
            view=host("10:02:30", process("x` (pid 1)\n\u202eevil\x1b[31m" + "y" * 10_000, 9, "10:01", cpu_percent=90)),
        ),
        "CPU at 97 % (limit 85 %) since 10:02 UTC. At 10:01 "
        f"`x' (pid 1)\\n\\u202eevil\\x1b[31m{'y' * 39}…` (pid 9) was started and uses 90 % of one CPU.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sentence_of(name: str) -> None:
    known, sentence = CASES[name]
    assert explain(known).text == sentence


def test_all_that_changed_is_kept_also_what_the_sentence_leaves_out() -> None:
    started = [process(f"worker-{n}", n, f"10:01:{n:02}", cpu_percent=50 + n) for n in range(1, 5)]
    known = case("cpu_high", 97, 85, view=host("10:02:30", *started, packages_changed_at=at("9:59")))
    explanation = explain(known)
    assert [change.document["kind"] for change in explanation.changes] == ["packages", *["process_started"] * 4]
    assert explanation.changes[0].document == {
        "at": at("9:59"),
        "kind": "packages",
        "text": "packages were installed, upgraded or removed",
    }
    assert [name in explanation.text for name in ("worker-2", "worker-3", "worker-4")] == [False, True, True]


_NUMBERS = st.none() | st.floats() | st.integers(-(2**70), 2**70)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=30),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3),
    max_leaves=8,
)
_PARTS = (
    "process",
    "processes",
    "filesystem",
    "forecast",
    "service",
    "reason",
    "interval_seconds",
    "throttled_entries",
    "never_seen",
)
_FIGURES = st.floats(allow_nan=False, allow_infinity=False)
_VIEWS = st.none() | st.builds(View, st.just(at("10:02")), DETAILS)


@settings(max_examples=150, deadline=None)
@given(
    known=st.builds(
        Case,
        type=st.sampled_from(sorted({known.type for known, _ in CASES.values()})),
        subject=st.text(max_size=1024),
        limit=st.none() | _FIGURES,
        value=st.none() | _FIGURES,
        started_at=_FIGURES | st.just(at("10:02")),
        opened_at=_FIGURES | st.just(at("10:02")),
        evidence=st.dictionaries(st.sampled_from(_PARTS), _JSON),
        view=_VIEWS,
        earlier=_VIEWS,
        usual=st.none() | st.just(Usual(1, 2, "at this hour")),
    )
)
def test_whatever_a_host_says_is_explained_in_one_short_line_of_visible_text(known: Case) -> None:
    explanation = explain(known)
    documents = [change.document for change in explanation.changes]
    for text in (explanation.text, *(document["text"] for document in documents)):
        assert visible(text, len(text)) == text
        assert len(text) < 2000
    assert all(math.isfinite(document["at"]) for document in documents)
    json.dumps(documents, allow_nan=False)
