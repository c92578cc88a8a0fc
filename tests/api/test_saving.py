"""Scripts are saved in one folder and nowhere else, whatever a name asks for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from api.saving import BadFilename, check_filename, save
from tests.api.remedies import publish, scripts_being_made
from wire.text import visible

PATH = "/api/agent/generate-script/save"
BAD_NAMES = [
    "",
    ".",
    "..",
    "/etc/cron.d/x.sh",
    "../x.sh",
    "..\\x.sh",
    "a/b.sh",
    "a/../../x.sh",
    "a\\b.sh",
    "C:\\x.sh",
    "C:x.sh",
    "x.sh:stream",
    "x\0.sh",
    "x\n.sh",
    "x\x7f.sh",
    "x\u202ehs.sh",
    ".hidden.sh",
    ".sh",
    "-rf.sh",
    "~.sh",
    " x.sh",
    "x.sh ",
    "x.sh.",
    "CON.sh",
    "nul.sh",
    "Com1.sh",
    "lpt9.tar.sh",
    "com\u00b9.sh",
    "aux .sh",
    "conin$.sh",
    "x" * 198 + ".sh",
    "\u00e4" * 100 + ".sh",
    "x.ps1",
    "x.SH",
    "x",
    "x?.sh",
    "x*.sh",
    '"x".sh',
]
GOOD_NAMES = [
    "x.sh",
    "fleetmedic-cpu_high-event-17.sh",
    "console.sh",
    "com10.sh",
    "a b.sh",
    "\u00fc.sh",
    "x" * 197 + ".sh",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "scripts"


@pytest.fixture
def script(client: FlaskClient, engine: Engine, redis_url: str) -> Iterator[int]:
    """The id of a bash script that is ready."""
    publish(engine)
    with scripts_being_made(engine, redis_url):
        yield client.post("/api/agent/generate-script", json={"issue_type": "cpu_high"}).get_json()["id"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=visible)
def test_a_bad_name_is_refused_and_nothing_is_written(folder: Path, name: str) -> None:
    with pytest.raises(BadFilename):
        save(folder, name, "bash", "x")
    assert not folder.exists()


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_plain_name_is_taken(folder: Path, name: str) -> None:
    assert save(folder, name, "bash", "x").read_text() == "x"
    assert [path.name for path in folder.iterdir()] == [name]


@given(st.text(max_size=300))
def test_any_name_is_refused_or_that_of_a_file_in_the_folder(name: str) -> None:
    try:
        check_filename(f"{name}.sh", "bash")
    except BadFilename:
        return
    assert os.path.basename(f"{name}.sh") == f"{name}.sh"
    assert len(f"{name}.sh".encode()) <= 200


def test_only_its_owner_may_read_it_and_run_it(folder: Path) -> None:
    assert save(folder, "x.sh", "bash", "x").stat().st_mode & 0o777 == 0o700
    assert save(folder, "x.ps1", "powershell", "x").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0


def test_the_same_script_may_be_saved_again(folder: Path) -> None:
    assert save(folder, "x.sh", "bash", "x") == save(folder, "x.sh", "bash", "x")


def make_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "outside")


def make_dead_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nowhere")


def make_other_script(path: Path) -> None:
    path.write_text("another")


@pytest.mark.parametrize("make", [make_link, make_dead_link, make_other_script, Path.mkdir, os.mkfifo])
def test_what_is_there_under_that_name_stays(
    client: FlaskClient, script: int, folder: Path, make: Callable[[Path], object]
) -> None:
    outside = folder.parent / "outside"
    outside.write_text("outside")
    folder.mkdir()
    make(folder / "x.sh")
    answer = client.post(PATH, json={"id": script, "filename": "x.sh"})
    assert (answer.status_code, answer.get_json()["field"]) == (409, "filename")
    assert outside.read_text() == "outside"
    assert not (folder.parent / "nowhere").exists()
    assert [path.name for path in folder.iterdir()] == ["x.sh"]


def test_a_folder_that_is_a_link_is_not_written_to(client: FlaskClient, script: int, folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    assert client.post(PATH, json={"id": script}).status_code == 409
    assert list(elsewhere.iterdir()) == []


def test_a_script_is_saved_by_its_id_under_its_own_name(client: FlaskClient, script: int, folder: Path) -> None:
    answer = client.post(PATH, json={"id": script})
    assert answer.status_code == 200
    path = Path(answer.get_json()["path"])
    assert path == folder / "fleetmedic-cpu_high.sh"
    assert path.read_text() == client.get(f"/api/v1/scripts/{script}").get_json()["script"]


def test_a_script_is_made_and_saved_in_one(client: FlaskClient, script: int, folder: Path) -> None:
    asked = {"issue_type": "service_restart", "parameters": {"service": "nginx"}, "filename": "mine.sh"}
    assert client.post(PATH, json=asked).get_json() == {"path": str(folder / "mine.sh")}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "id"),
        ({"id": 999_999}, "id"),
        ({"id": "1"}, "id"),
        ({"id": None, "filename": "x.sh"}, "id"),
        ({"filename": 7}, "filename"),
        ({"issue_type": "nonsense"}, "issue_type"),
        ({"issue_type": "service_restart"}, "parameters.service"),
        ({"id": 1, "path": "x"}, "path"),
    ],
)
def test_what_is_wrong_is_named(
    client: FlaskClient, script: int, folder: Path, asked: dict[str, Any], field: str
) -> None:
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)
    assert not folder.exists()


def test_an_issue_type_that_is_not_the_script_s_is_refused(client: FlaskClient, script: int, folder: Path) -> None:
    assert client.post(PATH, json={"id": script, "issue_type": "cpu_high"}).status_code == 200
    answer = client.post(PATH, json={"id": script, "issue_type": "disk_full", "filename": "other.sh"})
    assert (answer.status_code, answer.get_json()["field"]) == (400, "issue_type")
    assert not (folder / "other.sh").exists()


@pytest.mark.parametrize("name", ["../x.sh", "/x.sh", "NUL.sh", "x\0.sh", "x" * 300 + ".sh", "x.ps1"], ids=visible)
def test_the_route_refuses_a_bad_name(client: FlaskClient, script: int, folder: Path, name: str) -> None:
    answer = client.post(PATH, json={"id": script, "filename": name})
    assert (answer.status_code, answer.get_json().get("field")) == (400, "filename"), answer.get_json()
    assert not folder.exists()


def test_a_script_that_is_not_made_yet_cannot_be_saved(client: FlaskClient, engine: Engine, folder: Path) -> None:
    publish(engine)
    queued = client.post("/api/v1/scripts", json={"issue_type": "cpu_high"}).get_json()["id"]
    assert client.post(PATH, json={"id": queued}).status_code == 409
    assert not folder.exists()
