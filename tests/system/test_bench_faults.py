"""``bench faults``, short: a good worker under every kind of fault, and one with the mistake that it must see."""

import json
import sys
from pathlib import Path

import pytest

from cli.bench.faults import bench
from cli.bench.faults.hazards import KINDS
from cli.bench.faults.small_disk import CannotMount, SmallDisk
from tests.system.all_in_one import CLEAN, fleetmedic

DISKS = ("spool_disk_full", "database_disk_full")


@pytest.fixture
def without(tmp_path: Path) -> tuple[str, ...]:
    """The kinds of faults that cannot be had here."""
    try:
        SmallDisk(tmp_path / "disk", 1024 * 1024).unmount()
    except CannotMount:
        return DISKS
    return ()


def test_nothing_is_lost_doubled_or_invented_under_any_fault(without: tuple[str, ...]) -> None:
    options = [word for kind in without for word in ("--without", kind)]
    done = fleetmedic("bench", "faults", "--minutes", "0.3", "--seed", "4", *options, "--json", timeout=200)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    figures = json.loads(done.stdout)
    assert [figures[name] for name in ("lost", "duplicated", "changed", "wrong_events", "unacknowledged")] == [0] * 5
    assert figures["produced"] == figures["stored"] + figures["declared"] > 0
    assert figures["events"] > 0
    assert {kind for kind, count in figures["faults"].items() if count} == set(KINDS) - set(without)
    assert figures["recovery_seconds"].keys() == figures["faults"].keys()


def test_a_worker_that_acknowledges_before_it_commits_is_found_out() -> None:
    wanted = {"worker_child_kill", "postgres_kill"}
    plan = bench.Plan(
        minutes=0.1,
        seed=1,
        without=frozenset(KINDS) - wanted,
        worker_command=(sys.executable, "-m", "tests.system.early_acknowledge", "worker"),
    )
    figures = bench.run(plan, CLEAN, lambda _: None)
    assert figures["lost"] > 0
    assert not bench.is_clean(figures)


def test_a_kind_that_does_not_exist_is_named() -> None:
    done = fleetmedic("bench", "faults", "--without", "earthquake")
    assert done.returncode != 0
    assert "earthquake: that is no kind of fault; the kinds are worker_child_kill" in done.stderr
