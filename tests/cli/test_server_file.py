import os
import subprocess
from pathlib import Path

from cli.server_file import ServerFile, find_server, write_server_file

UP = ServerFile(os.getpid(), "http://127.0.0.1:1", "token", "redis://:p@127.0.0.1:2/0", "sqlite:////d", "redis://h:2/0")
FOUND = {
    "FLEETMEDIC_API_URL": UP.api_url,
    "FLEETMEDIC_ADMIN_TOKEN": UP.admin_token,
    "FLEETMEDIC_REDIS_URL": UP.redis_url,
    "FLEETMEDIC_DATABASE_URL": UP.database_url,
}


def test_a_running_up_completes_what_is_not_set(tmp_path: Path) -> None:
    write_server_file(tmp_path, UP)
    given = {"FLEETMEDIC_DATA_DIR": str(tmp_path), "FLEETMEDIC_REDIS_URL": "redis://set", "FLEETMEDIC_DATABASE_URL": ""}
    assert find_server(given, None) == {**FOUND, **given, "FLEETMEDIC_DATABASE_URL": UP.database_url}


def test_the_option_wins_over_the_variable(tmp_path: Path) -> None:
    write_server_file(tmp_path, UP)
    found = find_server({"FLEETMEDIC_DATA_DIR": "/nowhere"}, str(tmp_path))
    assert found == {**FOUND, "FLEETMEDIC_DATA_DIR": str(tmp_path)}


def test_the_token_of_one_server_is_not_sent_to_another(tmp_path: Path) -> None:
    write_server_file(tmp_path, UP)
    found = find_server({"FLEETMEDIC_API_URL": "http://elsewhere"}, str(tmp_path))
    assert found["FLEETMEDIC_API_URL"] == "http://elsewhere"
    assert "FLEETMEDIC_ADMIN_TOKEN" not in found


def test_what_a_dead_up_left_is_not_believed(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    write_server_file(tmp_path, ServerFile(gone.pid, *[""] * 5))
    assert find_server({}, str(tmp_path)) == {"FLEETMEDIC_DATA_DIR": str(tmp_path)}


def test_a_broken_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("{")
    assert find_server({}, str(tmp_path)) == {"FLEETMEDIC_DATA_DIR": str(tmp_path)}


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    write_server_file(tmp_path, UP)
    assert (tmp_path / "server.json").stat().st_mode & 0o777 == 0o600
