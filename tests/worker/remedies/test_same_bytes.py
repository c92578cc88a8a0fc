"""The same event gives the same bytes: at any time, in any process, whoever asks."""

import os
import subprocess
import sys
from typing import Any

from store.remedies import ScriptType
from store.script_jobs import Job
from worker.remedies.templates import load_all
from worker.script_jobs import rendered

HOSTILE = "a'b\"c$(reboot)`x`\n\u2019\u202e%s -rf"
PROCESS = {"pid": 4712, "start_time": 1.6e9, "name": HOSTILE, "memory_percent": 60.0, "memory_bytes": 6e9}
DIRECTORY = {"path": f"/var/{HOSTILE}", "bytes": 5e9, "growth_bytes": 3e9, "seconds": 600.0}
EVENTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("cpu_high", "cpu_spike", "", {"processes": [PROCESS | {"cpu_percent": 190.0}]}),
    ("memory_high", "memory_high", "", {"processes": [PROCESS], "grown": [PROCESS | {"growth_bytes": 2e9}]}),
    ("process_memory_high", "process_memory_high", f"{HOSTILE} (pid 4712)", {"process": PROCESS}),
    ("disk_full", "disk_forecast", "/var", {"filesystem": {"mount": "/var"}, "directories": [DIRECTORY]}),
    ("service_restart", "service_down", "nginx.service", {"service": {"state": "failed"}}),
    ("disk_health", "disk_health", "/dev/sda", {"reason": HOSTILE}),
]


def sums() -> list[str]:
    """Return the SHA-256 of the script of each event, of both types."""
    templates = load_all()
    script_types: tuple[ScriptType, ...] = ("bash", "powershell")
    jobs = [
        Job(
            id=place,
            issue_type=issue_type,
            script_type=script_type,
            given={},
            host=HOSTILE,
            event_id=17,
            event_type=event_type,
            subject=subject,
            evidence=evidence,
        )
        for script_type in script_types
        for place, (issue_type, event_type, subject, evidence) in enumerate(EVENTS)
    ]
    return [rendered(templates, job).sha256 for job in jobs]


def test_the_same_event_gives_the_same_bytes_in_every_process() -> None:
    here = sums()
    assert len(set(here)) == 2 * len(EVENTS)
    there = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import sums; print(*sums())"],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here


def test_the_built_in_remedies_are_all_among_these_events() -> None:
    assert {issue_type for issue_type, *_ in EVENTS} == load_all().keys()
