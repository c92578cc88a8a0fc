"""``fleetmedic script`` against a real ``up``."""

import json
import os
from pathlib import Path

import pytest

from tests.system.all_in_one import Up, fleetmedic


def script(up: Up, *arguments: str) -> tuple[int, str, str]:
    done = fleetmedic("script", *arguments, "--data-dir", str(up.folder))
    return done.returncode, done.stdout, done.stderr


def test_it_prints_the_script_and_tells_about_it_beside(up: Up) -> None:
    code, out, err = script(up, "disk_full", "--param", "mount=/var", "--param", "older_than_days=30")
    assert (code, out.splitlines()[0]) == (0, "#!/usr/bin/env bash"), err
    assert "FM_MOUNT='/var'\nFM_OLDER_THAN_DAYS='30'\n" in out
    assert "Run it with: bash fleetmedic-disk_full.sh" in err


def test_as_json_it_is_one_object(up: Up) -> None:
    code, out, _ = script(up, "cpu_high", "--type", "powershell", "--json")
    made = json.loads(out)
    assert (code, made["script_type"], made["filename"]) == (0, "powershell", "fleetmedic-cpu_high.ps1")


def test_it_writes_a_new_file_that_can_be_run_and_never_over_another(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "fix.sh"
    assert script(up, "disk_health", "--output", str(file))[:2] == (0, "")
    assert os.access(file, os.X_OK)
    code, _, err = script(up, "cpu_high", "--output", str(file))
    assert code == 1
    assert f"--output: {file} cannot be made: File exists" in err
    assert "disk_health" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "issue_type names no remedy"),
        (["process_memory_high"], "pid is needed: an integer from 2 to 4194304"),
        (["cpu_high", "--param", "pid=x"], "pid must be an integer"),
        (["cpu_high", "--param", "colour=red"], "colour is no parameter of cpu_high"),
        (["cpu_high", "--host", "elsewhere"], "elsewhere"),
        (["cpu_high", "--event", "999999"], "999999"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(up: Up, arguments: list[str], complaint: str) -> None:
    code, out, err = script(up, *arguments)
    assert (code, out) == (1, "")
    assert complaint in err
    assert len(err.splitlines()) == 1
