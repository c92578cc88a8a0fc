"""What an event's evidence tells a fix."""

from typing import Any

import msgspec
import pytest

from store.remedies import BadParameter, Remedy, Value
from worker.remedies.evidence import parameters_for
from worker.remedies.templates import load_all

REMEDIES = {issue_type: template.remedy for issue_type, template in load_all().items()}
BURNER = {"pid": 4711, "start_time": 1.7e9, "cpu_percent": 190.0, "memory_percent": 1.0}
HOARDER = {"pid": 4712, "start_time": 1.6e9, "cpu_percent": 5.0, "memory_percent": 60.0}
LEAKER = {"pid": 4713, "start_time": 1.65e9, "memory_bytes": 3e9, "growth_bytes": 2e9, "seconds": 600.0}
LOGS = {"path": "/var/log", "bytes": 5e9, "growth_bytes": 3e9, "seconds": 600.0}
CACHE = {"path": "/var/cache", "bytes": 9e9, "growth_bytes": 1024.0, "seconds": 600.0}
INIT = {"pid": 1, "start_time": 1.5e9, "cpu_percent": 195.0, "memory_percent": 70.0}


@pytest.mark.parametrize(
    ("issue_type", "event_type", "subject", "evidence", "told"),
    [
        ("cpu_high", "cpu_high", "", {"processes": [HOARDER, BURNER]}, {"pid": 4711, "start_time": 1.7e9}),
        ("cpu_high", "cpu_spike", "", {"processes": [BURNER]}, {"pid": 4711, "start_time": 1.7e9}),
        ("cpu_high", "cpu_high", "", {"processes": []}, {"pid": None, "start_time": None}),
        ("cpu_high", "cpu_high", "", {"unreadable": "details: …"}, {"pid": None}),
        ("cpu_high", "cpu_high", "", {"processes": [INIT, BURNER]}, {"pid": None, "start_time": None}),
        ("memory_high", "memory_high", "", {"processes": [BURNER, HOARDER]}, {"pid": 4712, "action": "report"}),
        (
            "memory_high",
            "memory_high",
            "",
            {"processes": [HOARDER], "grown": [LEAKER, HOARDER]},
            {"pid": 4713, "start_time": 1.65e9},
        ),
        ("process_memory_high", "process_memory_high", "x (pid 4712)", {"process": HOARDER}, {"pid": 4712}),
        ("disk_full", "disk_full", "/var", {}, {"mount": "/var", "older_than_days": 7}),
        ("disk_full", "disk_full", "C:", {}, {"mount": "C:"}),
        ("disk_full", "disk_forecast", "/var (inodes)", {"filesystem": {"mount": "/var"}}, {"mount": "/var"}),
        ("disk_full", "disk_full", "/with\nline", {}, {"mount": "/with\nline"}),
        (
            "disk_full",
            "disk_full",
            "/var",
            {"directories": [LOGS | {"path": "not absolute"}]},
            {"mount": "/var", "directory": None},
        ),
        # No event: what it would have told is the default.
        ("disk_full", None, "", {}, {"mount": "/"}),
        ("disk_health", None, "", {}, {"disk": None}),
        ("service_restart", "service_down", "nginx.service", {}, {"service": "nginx.service"}),
        ("disk_health", "disk_health", "/dev/sda", {}, {"disk": "/dev/sda"}),
    ],
)
def test_parameters_come_from_the_evidence(
    issue_type: str, event_type: str | None, subject: str, evidence: dict[str, Any], told: dict[str, Value]
) -> None:
    parameters = parameters_for(REMEDIES[issue_type], {}, event_type, subject, evidence)
    assert told.items() <= parameters.items()


def taking(*names: str) -> Remedy:
    """Return a remedy with these optional parameters, as a user may write one."""
    kinds = {"pid": "integer", "start_time": "number", "memory_bytes": "number", "directory_bytes": "number"}
    return msgspec.convert(
        {
            "issue_type": "own",
            "title": "",
            "description": "",
            "version": "1",
            "events": ["memory_high", "disk_full"],
            "risk": "low",
            "requires_admin": False,
            "parameters": [{"name": name, "type": kinds.get(name, "string"), "description": ""} for name in names],
        },
        Remedy,
    )


@pytest.mark.parametrize(
    ("directories", "fastest"),
    [
        ([CACHE, LOGS], ("/var/log", 5e9)),
        ([CACHE], (None, None)),
        ([LOGS | {"growth_bytes": None}], (None, None)),
        ([], (None, None)),
    ],
)
def test_the_fastest_growing_directory_is_told_where_one_notably_grows(
    directories: list[dict[str, Any]], fastest: tuple[Value, Value]
) -> None:
    remedy = taking("mount", "directory", "directory_bytes")
    evidence = {"filesystem": {"mount": "/var"}, "directories": directories}
    parameters = parameters_for(remedy, {}, "disk_full", "/var", evidence)
    assert (parameters["directory"], parameters["directory_bytes"]) == fastest
    assert parameters_for(remedy, {"mount": "/srv"}, "disk_full", "/var", evidence)["directory"] is None


def test_what_a_process_held_is_told_unless_another_one_was_given() -> None:
    remedy, evidence = taking("pid", "start_time", "memory_bytes"), {"processes": [HOARDER], "grown": [LEAKER]}
    told = parameters_for(remedy, {}, "memory_high", "", evidence)
    assert told == {"pid": 4713, "start_time": 1.65e9, "memory_bytes": 3e9}
    given = parameters_for(remedy, {"pid": 4712}, "memory_high", "", evidence)
    assert given == {"pid": 4712, "start_time": None, "memory_bytes": None}


def test_a_remedy_is_told_only_what_it_takes() -> None:
    assert parameters_for(taking("mount"), {}, "disk_full", "/var", {"directories": [LOGS]}) == {"mount": "/var"}


def test_what_was_given_wins_over_the_evidence() -> None:
    parameters = parameters_for(REMEDIES["cpu_high"], {"measure_seconds": 9}, "cpu_high", "", {"processes": [BURNER]})
    assert (parameters["measure_seconds"], parameters["pid"]) == (9, 4711)


def test_a_pid_that_was_given_never_meets_the_start_time_of_another_process() -> None:
    parameters = parameters_for(REMEDIES["cpu_high"], {"pid": 99}, "cpu_high", "", {"processes": [BURNER]})
    assert (parameters["pid"], parameters["start_time"]) == (99, None)


@pytest.mark.parametrize(
    ("issue_type", "subject", "evidence", "complaint"),
    [
        ("process_memory_high", "x", {}, "pid is needed: an integer from 2 to 4194304"),
        ("process_memory_high", "x", {"process": {"pid": 10**12}}, "pid must be an integer from 2 to 4194304"),
        ("disk_full", "relative", {}, "mount must be a string"),
        ("service_restart", "", {}, "service is needed"),
        ("service_restart", "; rm -rf /", {}, "service must be a string"),
        ("service_restart", "-h", {}, "service must be a string"),
    ],
)
def test_what_is_missing_or_no_good_is_named_with_its_bounds(
    issue_type: str, subject: str, evidence: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadParameter, match=complaint):
        parameters_for(REMEDIES[issue_type], {}, REMEDIES[issue_type].events[0], subject, evidence)
