"""Every route of a real server, tried with what its description allows and with what it forbids."""

import subprocess
import sys
from pathlib import Path

from tests.system.all_in_one import running_up

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_whatever_is_asked_is_answered_as_described_and_never_by_a_failure(tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as up:
        server = up.server()
        command = [SCHEMATHESIS, "--config-file", CONFIG, "--no-color", "run", f"{server['api_url']}/openapi.json"]
        options = ["--phases", "coverage,fuzzing", "--max-examples", "4", "--seed", "1"]
        token = ["-H", f"Authorization: Bearer {server['admin_token']}"]
        run = subprocess.run([*command, *options, *token], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout
        assert "❌" not in run.stdout
        log = (up.folder / "logs" / "api.log").read_text()
    assert "ERROR" not in log
    assert all(line.isprintable() for line in log.splitlines())
