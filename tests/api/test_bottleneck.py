"""What holds a host back: averages in, a verdict out."""

import math
from typing import Any

import pytest

from api.bottleneck import Verdict, judge
from api.findings import METRICS, Average
from api.suggestions import OpenEvent
from wire.snapshot import Details, Filesystem, Process

CALM = dict.fromkeys(METRICS, 0.0) | {
    "cpu_percent": 10.0,
    "load_1": 0.3,
    "memory_percent": 40.0,
    "memory_available_bytes": 8e9,
    "disk_percent": 50.0,
    "disk_inodes_percent": 10.0,
    "network_receive_bytes_per_second": 1e5,
    "network_transmit_bytes_per_second": 1e5,
}
BURNER = Process(4711, 1.7e9, "burner", "root", 190.0, 1.0, 1e6)
HOARDER = Process(4712, 1.6e9, "hoarder", "root", 5.0, 60.0, 1e10)
IDLE = Process(4713, 1.6e9, "idle", "root", 0.5, 0.5, 1e6)
FULL = Filesystem("/data", "/dev/sdb", "ext4", 1e11, 0.99e11, 99.0)
DETAILS = Details(
    filesystems=(FULL, Filesystem("/", "/dev/sda", "ext4", 1e11, 0.5e11, 50.0)),
    processes_by_cpu=(IDLE, BURNER, HOARDER),
    processes_by_memory=(HOARDER, BURNER),
    cpu_count=2,
)


def verdict(*events: OpenEvent, details: Details = DETAILS, **recent: float) -> Verdict:
    """Judge a calm host on which these metrics have been so for the last half minute only."""
    metrics = CALM | recent
    return judge({name: Average(CALM[name], value) for name, value in metrics.items()}, details, events)


@pytest.mark.parametrize(
    ("metrics", "bottleneck"),
    [
        ({}, "none"),
        ({"cpu_percent": 99.0}, "cpu"),
        ({"cpu_percent": 80.0}, "none"),
        ({"cpu_percent": 99.0, "disk_percent": 99.0}, "cpu"),
        ({"memory_percent": 97.0}, "memory"),
        ({"memory_percent": 97.0, "swap_percent": 60.0, "swap_in_bytes_per_second": 6e7}, "swap"),
        ({"swap_percent": 60.0}, "none"),
        ({"disk_percent": 99.0}, "disk_space"),
        ({"disk_inodes_percent": 99.0}, "disk_space"),
        ({"disk_busy_percent": 99.0, "cpu_iowait_percent": 40.0, "cpu_percent": 45.0}, "disk_io"),
        ({"disk_busy_percent": 99.0, "cpu_iowait_percent": 1.0}, "none"),
        ({"cpu_percent": 95.0, "cpu_iowait_percent": 70.0, "disk_busy_percent": 99.0}, "disk_io"),
        ({"network_drops_per_second": 300.0}, "network"),
        ({"tcp_retransmits_per_second": 150.0}, "network"),
        ({"pressure_io_percent": 95.0}, "pressure"),
    ],
)
def test_the_bottleneck_is_what_everything_waits_for(metrics: dict[str, float], bottleneck: str) -> None:
    assert verdict(**metrics).bottleneck == bottleneck


def test_a_trouble_that_has_ended_fades() -> None:
    assert judge({"cpu_percent": Average(whole=98.0, recent=12.0)}, DETAILS, ()).bottleneck == "none"


def test_a_trouble_that_lasts_is_seen_through_a_short_rest() -> None:
    assert judge({"cpu_percent": Average(whole=99.0, recent=83.0)}, DETAILS, ()).bottleneck == "cpu"


def test_a_finding_tells_its_numbers_and_who_is_behind_them() -> None:
    finding = verdict(cpu_percent=99.0, load_1=7.5).findings[0]
    assert (finding.resource, finding.value, finding.unit, finding.limit) == ("cpu", 99.0, "percent", 85.0)
    assert finding.severity == "critical"
    assert "99 % in the last half minute" in finding.text
    assert "2 CPUs, load 7.5" in finding.text
    assert "burner (pid 4711) at 190 %" in finding.text
    assert "idle" not in finding.text


def test_what_is_worst_comes_first() -> None:
    found = verdict(cpu_percent=99.0, memory_percent=92.0).findings
    assert [finding.resource for finding in found[:2]] == ["cpu", "memory"]
    assert [finding.score for finding in found] == sorted((finding.score for finding in found), reverse=True)


@pytest.mark.parametrize(
    ("metrics", "events", "issue_type", "event_id", "parameters"),
    [
        ({"cpu_percent": 99.0}, [], "cpu_high", None, {"pid": 4711, "start_time": 1.7e9}),
        ({"cpu_percent": 99.0}, [OpenEvent(7, "cpu_high", "")], "cpu_high", 7, {"pid": 4711, "start_time": 1.7e9}),
        ({"memory_percent": 99.0}, [], "process_memory_high", None, {"pid": 4712, "start_time": 1.6e9}),
        ({"disk_percent": 99.0}, [OpenEvent(8, "disk_full", "/")], "disk_full", None, {"mount": "/data"}),
        ({"disk_percent": 99.0}, [OpenEvent(8, "disk_full", "/data")], "disk_full", 8, {"mount": "/data"}),
        ({}, [OpenEvent(9, "service_down", "nginx")], "service_restart", 9, {}),
        ({}, [OpenEvent(9, "disk_health", "/dev/sda")], "disk_health", 9, {}),
    ],
)
def test_a_suggestion_names_the_remedy_that_does_it(
    metrics: dict[str, float],
    events: list[OpenEvent],
    issue_type: str,
    event_id: int | None,
    parameters: dict[str, Any],
) -> None:
    first = verdict(*events, **metrics).suggestions[0]
    assert (first.issue_type, first.event_id, first.parameters, first.impact) == (
        issue_type,
        event_id,
        parameters,
        "high",
    )


def test_the_greatest_impact_comes_first() -> None:
    impacts = [one.impact for one in verdict(cpu_percent=99.0, cpu_steal_percent=30.0, disk_percent=99.0).suggestions]
    assert impacts == ["high", "high", "medium"]


def test_a_calm_host_needs_nothing() -> None:
    assert verdict(details=Details()).suggestions == []


@pytest.mark.parametrize("metrics", [{}, {"cpu_percent": Average(math.nan, math.nan)}])
def test_a_host_of_which_nothing_is_known_is_no_error(metrics: dict[str, Average]) -> None:
    assert judge(metrics, Details(), ()).bottleneck == "none"


def test_processes_without_figures_are_no_error() -> None:
    unknown = Process(5, math.nan, "x", "", math.nan, math.nan, math.nan)
    details = Details(processes_by_cpu=(unknown,), processes_by_memory=(unknown,), filesystems=(FULL,))
    assert verdict(details=details, cpu_percent=99.0, memory_percent=99.0).suggestions
