"""What grew before an event opened: in its evidence, and in the parameters of its script."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from store import scripts
from store.engine import reading
from store.schema import events
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.snapshot import Details, Directory, Filesystem, Process
from worker import growth
from worker.explanation.case import View
from worker.growth import grown
from worker.inbox import Inbox
from worker.ingest import Drained, drain
from worker.remedies.templates import load_all
from worker.script_jobs import remedy_of, render_jobs

TEMPLATES = load_all()
GIB = 2.0**30


def process(pid: int, gib: float, name: str = "java", started: float = NOW - 9000) -> Process:
    """Return a process of a host with 16 GiB."""
    return Process(pid, started, name, "ada", 1.0, 100 * gib / 16, gib * GIB)


def holding(*processes: Process) -> Details:
    return Details(processes_by_memory=tuple(sorted(processes, key=lambda one: -one.memory_bytes)), platform="linux")


def drain_all(engine: Engine, inbox: Inbox, now: float) -> Drained:
    return drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, remedy_of(TEMPLATES))


def run_out_of_memory(engine: Engine, inbox: Inbox, hosts: list[SimulatedHost], before: Details, now: Details) -> None:
    """Have hosts hold this for a quarter of an hour, and then that and too much in all."""
    for host in hosts:
        host.report(NOW - 900, before, memory_percent=60.0, process_memory_max_percent=20.0)
    drain_all(engine, inbox, NOW - 900)
    for moment in (NOW - 40, NOW - 30, NOW - 20, NOW - 10, NOW):
        for host in hosts:
            host.report(moment, now, memory_percent=95.0, process_memory_max_percent=20.0)
    drain_all(engine, inbox, NOW)


def evidences(engine: Engine, event_type: str) -> list[Any]:
    with reading(engine) as connection:
        query = select(events.c.evidence).where(events.c.type == event_type).order_by(events.c.host_id)
        return list(connection.execute(query).scalars())


def test_the_process_that_grew_is_named_and_its_script_is_about_it_and_not_about_the_largest(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    large = process(7, 3.0, "postgres")
    run_out_of_memory(engine, inbox, [host], holding(large, process(8, 0.5)), holding(large, process(8, 2.5)))
    [evidence] = evidences(engine, "memory_high")
    assert [one["pid"] for one in evidence["processes"]] == [7, 8]
    assert evidence["grown"] == [
        {
            "pid": 8,
            "start_time": NOW - 9000,
            "name": "java",
            "memory_bytes": 2.5 * GIB,
            "growth_bytes": 2.0 * GIB,
            "seconds": evidence["taken_at"] - (NOW - 900),
        }
    ]
    with reading(engine) as connection:
        [job] = scripts.page(connection, limit=9)
    render_jobs(engine, TEMPLATES, [job.id], NOW)
    with reading(engine) as connection:
        script = scripts.find(connection, job.id)
    assert script is not None
    assert script.content is not None
    assert f"FM_PID='8'\nFM_START_TIME='{NOW - 9000:.0f}'\n" in script.content


def test_where_many_hosts_run_out_of_memory_at_once_a_few_are_looked_at(
    engine: Engine, inbox: Inbox, new_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "_MOST_HOSTS", 2)
    hosts = [new_host() for _ in range(3)]
    run_out_of_memory(engine, inbox, hosts, holding(process(8, 0.5)), holding(process(8, 2.5)))
    assert ["grown" in evidence for evidence in evidences(engine, "memory_high")] == [True, True, False]


def test_a_host_that_was_never_seen_before_has_nothing_that_grew(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    for moment in (NOW - 40, NOW - 30, NOW - 20, NOW - 10, NOW):
        host.report(moment, holding(process(8, 2.5)), memory_percent=95.0)
    drain_all(engine, inbox, NOW)
    [evidence] = evidences(engine, "memory_high")
    assert evidence.keys() == {"taken_at", "processes"}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([process(8, 1.0)], process(8, 3.0), (2.0, 600.0)),
        # Not notable: a tenth of a percent of the memory.
        ([process(8, 1.0)], process(8, 1.016), None),
        ([process(8, 3.0)], process(8, 1.0), None),
        # Born since: all of it.
        ([process(7, 1.0)], process(8, 3.0, started=NOW - 100), (3.0, 100.0)),
        # Another process with the pid of one that was.
        ([process(8, 2.0)], process(8, 3.0, started=NOW - 100), (3.0, 100.0)),
        # There, but not among the largest: it held no more than the least of these.
        ([process(7, 2.0), process(6, 1.0)], process(8, 3.0), (2.0, 600.0)),
        ([], process(8, 3.0), None),
    ],
)
def test_growth_is_what_is_held_beyond_what_was(
    before: list[Process], now: Process, expected: tuple[float, float] | None
) -> None:
    shown = {"pid": now.pid, "start_time": now.start_time, "name": now.name}
    held = {"memory_percent": now.memory_percent, "memory_bytes": now.memory_bytes}
    found = grown({"taken_at": NOW, "processes": [shown | held]}, View(NOW - 600, holding(*before)))
    assert [(one["growth_bytes"] / GIB, one["seconds"]) for one in found] == ([] if expected is None else [expected])


def test_growth_is_told_of_no_view_that_is_later() -> None:
    shown = {"pid": 8, "start_time": NOW, "name": "java", "memory_percent": 50.0, "memory_bytes": GIB}
    evidence = {"taken_at": NOW, "process": shown}
    assert grown(evidence, View(NOW, holding())) == []
    assert grown(evidence, View(NOW + 9, holding(process(8, 0.1)))) == []


def test_a_full_filesystem_names_its_directories_and_no_other_s(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    full = Filesystem("/data", "/dev/sdb", "ext4", 1e9, 0.99e9, 99.0)
    logs, cache = Directory("/data", "/data/logs", 5e8, 3e8, 600.0), Directory("/data", "/data/cache", 4e8)
    details = Details(filesystems=(full,), directories=(Directory("/", "/var", 1e9), logs, cache), platform="linux")
    for moment in (NOW - 20, NOW - 10):
        host.report(moment, details, disk_percent=99.0)
    drain_all(engine, inbox, NOW)
    [evidence] = evidences(engine, "disk_full")
    assert evidence["directories"] == [
        {"path": "/data/logs", "bytes": 5e8, "growth_bytes": 3e8, "seconds": 600.0},
        {"path": "/data/cache", "bytes": 4e8, "growth_bytes": None, "seconds": None},
    ]
