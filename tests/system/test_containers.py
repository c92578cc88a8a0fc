"""docker-compose.yml brought up for real: a host appears, and parts that crash come back without losing anything.

It takes minutes and needs root and a free port 8080, so it runs only where COMPOSE says how to run Compose here:
COMPOSE="docker compose" .venv/bin/pytest tests/system/test_containers.py. The containers and volumes are its own.
"""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.all_in_one import wait_until

pytestmark = [
    pytest.mark.skipif("COMPOSE" not in os.environ, reason="COMPOSE does not say how to run Compose"),
    pytest.mark.timeout(1800),
]
ROOT = Path(__file__).parents[2]
# What the first process of each part is called.
PARTS = {"redis": "redis-server", "postgres": "postgres", "worker": "fleetmedic worker"}
COUNTS = """
SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence), count(DISTINCT incarnation),
(SELECT sequence FROM host_state), (SELECT count(*) FROM gaps), (SELECT count(*) FROM dead_letters) FROM snapshots
"""


def compose(*arguments: str) -> str:
    command = [*shlex.split(os.environ["COMPOSE"]), "-p", "fleetmedic-test", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.fixture(scope="module")
def containers() -> Iterator[None]:
    """All parts, from an image that was just built."""
    try:
        compose("up", "-d", "--build")
        wait_until(lambda: stored() > 1, seconds=120, every=1)
        yield
    finally:
        compose("down", "-v")


def hosts() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(compose("exec", "-T", "api", "fleetmedic", "hosts", "--json"))["items"]
    return items


def counts() -> list[int]:
    answer = compose("exec", "-T", "postgres", "psql", "-U", "fleetmedic", "-At", "-F", " ", "-c", COUNTS)
    return [int(field) for field in answer.split()]


def stored() -> int:
    """Return how many snapshots are stored, 0 while nobody can tell."""
    try:
        return counts()[0]
    except (subprocess.CalledProcessError, ValueError, IndexError):
        return 0


def first_process(part: str) -> psutil.Process | None:
    """Return the process 1 of a part's container, as this machine sees it."""
    for process in psutil.process_iter():
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            is_first = any(line.split()[2:] == ["1"] for line in status.splitlines() if line.startswith("NSpid:"))
            is_ours = Path(f"/proc/{process.pid}/root/secrets").is_dir()
            if is_first and is_ours and PARTS[part] in " ".join(process.cmdline()):
                return process
        except (OSError, psutil.Error):
            continue
    return None


def test_the_host_of_the_collector_appears_with_its_filesystems(containers: None) -> None:
    (host,) = hosts()
    assert host["name"] == "docker-host"
    assert host["metrics"]["memory_percent"] == pytest.approx(psutil.virtual_memory().percent, abs=20)
    assert host["metrics"]["disk_percent"] is not None


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_crashes_comes_back_and_nothing_is_lost(part: str, containers: None) -> None:
    crashed = first_process(part)
    assert crashed is not None
    before = stored()
    crashed.send_signal(signal.SIGKILL)
    wait_until(lambda: first_process(part) not in (None, crashed), every=0.5)
    wait_until(lambda: stored() > before + 2, seconds=120, every=1)
    rows, distinct, first, last, incarnations, position, gaps, dead_letters = counts()
    assert (rows, distinct, first, position) == (last, last, 1, last)
    assert (incarnations, gaps, dead_letters) == (1, 0, 0)
