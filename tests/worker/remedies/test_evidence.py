"""What an event's evidence tells a fix."""

from typing import Any

import pytest

from store.remedies import BadParameter, Value
from worker.remedies.evidence import parameters_for
from worker.remedies.templates import load_all

REMEDIES = {issue_type: template.remedy for issue_type, template in load_all().items()}
BURNER = {"pid": 4711, "start_time": 1.7e9, "cpu_percent": 190.0, "memory_percent": 1.0}
HOARDER = {"pid": 4712, "start_time": 1.6e9, "cpu_percent": 5.0, "memory_percent": 60.0}
INIT = {"pid": 1, "start_time": 1.5e9, "cpu_percent": 195.0, "memory_percent": 70.0}


@pytest.mark.parametrize(
    ("issue_type", "subject", "evidence", "told"),
    [
        ("cpu_high", "", {"processes": [HOARDER, BURNER]}, {"pid": 4711, "start_time": 1.7e9}),
        ("cpu_high", "", {"processes": []}, {"pid": None, "start_time": None}),
        ("cpu_high", "", {"unreadable": "details: …"}, {"pid": None}),
        ("cpu_high", "", {"processes": [INIT, BURNER]}, {"pid": None, "start_time": None}),
        ("memory_high", "", {"processes": [BURNER, HOARDER]}, {"pid": 4712, "action": "report"}),
        ("process_memory_high", "x (pid 4712)", {"process": HOARDER}, {"pid": 4712, "start_time": 1.6e9}),
        ("disk_full", "/var", {}, {"mount": "/var", "older_than_days": 7}),
        ("disk_full", "C:", {}, {"mount": "C:"}),
        # No event: what it would have told is the default.
        ("disk_full", "", {}, {"mount": "/"}),
        ("disk_health", "", {}, {"disk": None}),
        ("disk_full", "/with\nline", {}, {"mount": "/with\nline"}),
        ("service_restart", "nginx.service", {}, {"service": "nginx.service"}),
        ("disk_health", "/dev/sda", {}, {"disk": "/dev/sda"}),
    ],
)
def test_parameters_come_from_the_evidence(
    issue_type: str, subject: str, evidence: dict[str, Any], told: dict[str, Value]
) -> None:
    parameters = parameters_for(REMEDIES[issue_type], {}, subject, evidence)
    assert told.items() <= parameters.items()


def test_what_was_given_wins_over_the_evidence() -> None:
    parameters = parameters_for(REMEDIES["cpu_high"], {"measure_seconds": 9}, "", {"processes": [BURNER]})
    assert (parameters["measure_seconds"], parameters["pid"]) == (9, 4711)


def test_a_pid_that_was_given_never_meets_the_start_time_of_another_process() -> None:
    parameters = parameters_for(REMEDIES["cpu_high"], {"pid": 99}, "", {"processes": [BURNER]})
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
        parameters_for(REMEDIES[issue_type], {}, subject, evidence)
