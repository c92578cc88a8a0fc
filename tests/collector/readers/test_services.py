import stat
from pathlib import Path

import pytest

from collector.readers.services import parse_launchctl, parse_systemctl, read_services
from wire.snapshot import Service


def block(active: str, sub: str, load: str = "loaded") -> str:
    return f"Id=x.service\nLoadState={load}\nActiveState={active}\nSubState={sub}\n"


@pytest.mark.parametrize(
    ("output", "running", "state"),
    [
        (block("active", "running"), True, "active"),
        (block("active", "exited"), True, "active"),
        (block("reloading", "reload"), True, "reloading"),
        (block("activating", "start"), True, "activating"),
        (block("activating", "auto-restart"), False, "auto-restart"),
        (block("inactive", "dead"), False, "inactive"),
        (block("failed", "failed"), False, "failed"),
        (block("deactivating", "stop-sigterm"), False, "deactivating"),
        (block("inactive", "dead", "masked"), False, "masked"),
        (block("inactive", "dead", "not-found"), False, "missing"),
        ("", False, "unknown"),
        ("garbage", False, "unknown"),
    ],
)
def test_what_systemd_says_of_a_service(output: str, running: bool, state: str) -> None:
    assert parse_systemctl(["x.service"], output) == [Service("x.service", running, state)]


def test_services_keep_the_order_and_the_names_that_were_asked_for() -> None:
    output = block("active", "running") + "\n" + block("failed", "failed")
    assert parse_systemctl(["alias", "b"], output) == [
        Service("alias", True, "active"),
        Service("b", False, "failed"),
    ]


def test_an_answer_for_fewer_services_than_asked_for_is_unknown() -> None:
    assert {one.state for one in parse_systemctl(["a", "b"], block("active", "running"))} == {"unknown"}


def test_what_launchd_says() -> None:
    output = "PID\tStatus\tLabel\n123\t0\tcom.example.up\n-\t78\tcom.example.down\n"
    assert parse_launchctl(["com.example.up", "com.example.down", "com.example.none"], output) == [
        Service("com.example.up", True, "running"),
        Service("com.example.down", False, "stopped"),
        Service("com.example.none", False, "missing"),
    ]


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    systemctl = folder / "systemctl"
    systemctl.write_text(f"#!/bin/sh\n{script}\n")
    systemctl.chmod(systemctl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_systemctl_is_asked_once_for_all_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(
        tmp_path,
        monkeypatch,
        f'echo "$@" >> {tmp_path}/calls\n'
        "printf 'ActiveState=active\\nLoadState=loaded\\n\\nActiveState=failed\\nLoadState=loaded\\n'",
    )
    part = read_services(["a.service", "b.service"])
    assert part.core == {"services_not_running": 1.0}
    assert [one.state for one in part.details["services"]] == ["active", "failed"]
    assert (tmp_path / "calls").read_text() == (
        "show --no-pager --property=Id,ActiveState,SubState,LoadState -- a.service b.service\n"
    )


def test_without_systemd_services_are_unknown_and_none_counts_as_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(tmp_path, monkeypatch, "echo 'System has not been booted with systemd' >&2; exit 1")
    part = read_services(["a.service"])
    assert part.core == {"services_not_running": 0.0}
    assert part.details["services"] == (Service("a.service", False, "unknown"),)


def test_nothing_is_asked_when_nothing_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch, f"touch {tmp_path}/called")
    assert read_services([]).core == {"services_not_running": 0.0}
    assert not (tmp_path / "called").exists()
