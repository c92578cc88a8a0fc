import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cli.bench.cpu import cpu_seconds

HOSTS, ROUNDS = 200, 3
PROMISED = {
    "hosts",
    "rounds",
    "snapshots",
    "seconds",
    "snapshots_per_second",
    "samples_per_snapshot",
    "cpu_seconds",
    "drain_us_per_snapshot",
    "push_us_per_snapshot",
    "cpu_seconds_per_million_samples",
    "rows_expected",
    "rows_found",
}


def _start(folder: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    """Start the bench with its temporary files in ``folder``."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "bench", "ingest", *options],
        # The wheel's Postgres keeps a lock in the runtime folder: not in that of these tests' own Postgres.
        env={**os.environ, "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, unlike pytest's: the path of a Unix socket has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def figures(request: pytest.FixtureRequest, folder: Path) -> dict:
    """What a small bench prints on this database, all of it good."""
    options = ("--database", request.param, "--hosts", str(HOSTS), "--rounds", str(ROUNDS), "--json")
    bench = _start(folder, *options)
    told, errors = bench.communicate(timeout=100)
    # In a pipe it shows no progress.
    assert (bench.returncode, errors) == (0, "")
    return json.loads(told)


def test_it_stores_each_snapshot_once_and_tells_what_it_cost(figures: dict) -> None:
    assert set(figures) >= PROMISED
    assert (figures["hosts"], figures["rounds"]) == (HOSTS, ROUNDS)
    assert figures["snapshots"] == figures["rows_expected"] == figures["rows_found"] == HOSTS * ROUNDS
    assert (figures["duplicates"], figures["missing"], figures["dead_letters"]) == (0, 0, 0)
    # All core metrics of the simulated hosts have a value.
    assert figures["samples_per_snapshot"] == 45
    # 4 hosts are in trouble for all three rounds: on 2 the CPU is high, on 2 a disk is full.
    assert figures["events_opened"] == 4
    assert set(figures["cpu_seconds"]) == {"worker", "database", "redis"}


def test_it_leaves_nothing_behind_when_it_is_interrupted(folder: Path) -> None:
    bench = _start(folder, "--hosts", "20000", "--rounds", "1000")
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 30
    # Until it runs its own program, a child is still being made.
    while not any("redis-server" in name_of(child) for child in children) and time.monotonic() < deadline:
        children = psutil.Process(bench.pid).children(recursive=True)
        time.sleep(0.02)
    assert children
    bench.send_signal(signal.SIGINT)
    bench.communicate(timeout=60)
    assert bench.returncode == 130
    assert not [child for child in children if child.is_running()]
    assert not list(folder.glob("fleetmedic-bench-*"))


def name_of(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://localhost/x", "--database takes sqlite, postgres, or the URL"),
        ("postgresql://nobody:s3cret@127.0.0.1:1/postgres", "that database cannot be used: connection"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(url: str, message: str, folder: Path) -> None:
    bench = _start(folder, "--database", url, "--hosts", "1")
    _, errors = bench.communicate(timeout=60)
    assert bench.returncode == 1
    assert message in errors
    assert "s3cret" not in errors


def test_a_worker_that_ends_is_told_of_with_its_log(folder: Path) -> None:
    bench = _start(folder, "--hosts", "1", FLEETMEDIC_BATCH_ENTRIES="many")
    told, errors = bench.communicate(timeout=60)
    assert (bench.returncode, told) == (1, "")
    assert errors.startswith("fleetmedic: the worker ended with exit code 1. The last lines of its log:\n")
    assert "FLEETMEDIC_BATCH_ENTRIES is 'many'" in errors


def test_cpu_of_a_child_that_ended_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # Counted in ticks of 10 ms, of two processes.
        assert cpu_seconds(process.pid) >= 0.27
        process.communicate(b"\n")
