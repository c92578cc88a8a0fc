import json
import os
import subprocess
import sys
import tempfile

import pytest


@pytest.fixture(scope="module")
def figures() -> dict:
    """What a small live run prints, all of it good."""
    options = ("--live", "--hosts", "40", "--interval", "1", "--minutes", "0.05", "--json")
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        bench = subprocess.run(
            [sys.executable, "-m", "cli.main", "bench", "ingest", *options],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert (bench.returncode, bench.stderr) == (0, "")
    return json.loads(bench.stdout)


def test_every_snapshot_that_was_pushed_while_workers_drained_is_stored(figures: dict) -> None:
    assert (figures["snapshots"], figures["rows_expected"], figures["rows_found"]) == (120, 120, 120)


def test_the_lag_is_looked_at_and_events_are_seen_through_the_api(figures: dict) -> None:
    assert 0 <= figures["lag_seconds"]["p50"] <= figures["lag_seconds"]["max"]
    assert figures["events_measured"] > 0
    assert 0 < figures["event_visible_ms"]["p50"] <= figures["event_visible_ms"]["p99"]


def test_the_cost_is_told_apart_from_that_of_simulating(figures: dict) -> None:
    assert set(figures["cpu_seconds"]) == {"worker", "database", "redis", "api"}
    assert figures["cpu_seconds"]["database"] is None
    assert figures["pushers_cpu_us_per_snapshot"] > 0


def test_minutes_that_are_none_are_refused() -> None:
    for minutes in ("0", "-1", "many", "nan"):
        command = [sys.executable, "-m", "cli.main", "bench", "ingest", "--live", "--minutes", minutes]
        bench = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert bench.returncode == 2
        assert "is not a number of minutes" in bench.stderr
