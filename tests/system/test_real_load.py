"""Real trouble on this machine: what `up` makes of it, as its API shows it.

CPU and disk run at the same time, since an event of CPU takes half a minute to open and another to resolve.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.all_in_one import Up, running_up, wait_until

pytestmark = [pytest.mark.quiet, pytest.mark.timeout(480)]

# It ends by itself should nobody be left to end it, and gives way to what else runs here.
BURNER = """
import os, time
os.nice(10)
open("/proc/self/comm", "w").write("test-burner")
end = time.monotonic() + 240
while time.monotonic() < end:
    pass
"""
CALM_PERCENT = 40
# To look is load, too.
POLL_SECONDS = 0.5
DEVICE = "fleetmedic-test"
TMPFS_BYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data") as up:
        yield up


@pytest.fixture(scope="module")
def tmpfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A small filesystem of its own, None where this user may not mount any."""
    folder = tmp_path_factory.mktemp("tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", DEVICE, str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        yield None
        return
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Trouble:
    """All CPUs busy and a filesystem full, for long enough that both are events; then neither, until both resolve."""

    def __init__(self, up: Up, tmpfs: Path | None) -> None:
        self.up = up
        self.tmpfs = tmpfs
        wait_until(
            self._is_calm,
            lambda: f"this machine is too busy for a test of CPU load: {self._cpu_percent()} %",
            seconds=120,
            every=POLL_SECONDS,
        )
        self.began_at = time.time()
        burners = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(os.cpu_count() or 1)]
        self.pids = {burner.pid for burner in burners}
        try:
            if tmpfs:
                (tmpfs / "file").write_bytes(b"x" * (TMPFS_BYTES - 4096))
            self.opened = self._wait_for("open")
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
        if tmpfs:
            (tmpfs / "file").unlink()
        self.resolved = self._wait_for("resolved")

    def _wait_for(self, state: str) -> dict[str, dict[str, Any]]:
        """Return the events of this trouble by type, once all have been in that state."""
        wanted = {"cpu_high", "cpu_spike"} | ({"disk_full"} if self.tmpfs else set())
        seen: dict[str, dict[str, Any]] = {}

        def all_are() -> bool:
            for event in reversed(self.up.events(f"since={self.began_at}&state={state}")):
                # The disks of this machine may be full as well.
                if event["type"] != "disk_full" or event["evidence"]["filesystem"]["device"] == DEVICE:
                    seen.setdefault(event["type"], event)
            return wanted <= seen.keys()

        wait_until(all_are, lambda: f"{self._cpu_percent()} % CPU, {self.up.events()}", seconds=150, every=POLL_SECONDS)
        return {event_type: seen[event_type] for event_type in wanted}

    def _is_calm(self) -> bool:
        cpu = self._cpu_percent()
        is_open = self.up.events("type=cpu_high&state=open") + self.up.events("type=cpu_spike&state=open")
        return cpu is not None and cpu < CALM_PERCENT and not is_open

    def _cpu_percent(self) -> float | None:
        _, answer = self.up.ask("/api/v1/hosts")
        cpu: float | None = answer["items"][0]["metrics"]["cpu_percent"]
        return cpu


@pytest.fixture(scope="module")
def trouble(up: Up, tmpfs: Path | None) -> Trouble:
    return Trouble(up, tmpfs)


def named(event: dict[str, Any]) -> dict[int, str]:
    """Return the processes in the evidence: names by pid."""
    return {process["pid"]: process["name"] for process in event["evidence"]["processes"]}


def test_processes_that_burn_cpu_open_cpu_high_with_themselves_as_evidence(trouble: Trouble) -> None:
    event = trouble.opened["cpu_high"]
    burners = {pid for pid, name in named(event).items() if name == "test-burner"}
    assert burners <= trouble.pids
    # There is room for ten processes, and this machine may have something else to do.
    assert len(burners) >= min(len(trouble.pids), 5)
    assert event["value"] > event["limit"] == 85
    assert event["subject"] == event["host"] == trouble.up.host()["name"]


def test_the_leap_to_a_busy_cpu_opens_cpu_spike_with_a_newborn_process_as_evidence(trouble: Trouble) -> None:
    event = trouble.opened["cpu_spike"]
    assert trouble.pids & named(event).keys()
    assert event["severity"] == "medium"


def test_a_full_filesystem_opens_disk_full_with_its_mount_as_subject(trouble: Trouble) -> None:
    if trouble.tmpfs is None:
        assert not (os.environ.get("CI") and os.geteuid() == 0), "root may not mount a tmpfs here"
        pytest.skip("this user may not mount a tmpfs")
    event = trouble.opened["disk_full"]
    assert event["subject"] == str(trouble.tmpfs)
    assert event["severity"] == "critical"
    assert event["evidence"]["filesystem"]["size_bytes"] == TMPFS_BYTES


def test_all_of_it_resolves_by_itself_when_the_cause_is_gone(trouble: Trouble) -> None:
    for event_type, before in trouble.opened.items():
        after = trouble.resolved[event_type]
        assert after["id"] == before["id"]
        assert after["resolved_at"] > after["opened_at"]
        assert after["evidence"] == before["evidence"]
