"""A fleet: machines that are enrolled by the command line and run their collectors over TCP."""

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.all_in_one import Up, running_up, wait_until
from tests.system.processes import Part

SYSTEMD_RUNS = Path("/run/systemd/system").exists()
FAILED = "Id=shop.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n"
ACTIVE = "Id=shop.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"


class Machine:
    """A machine that is enrolled: a home of its own, and of the server what `enroll` printed and nothing else."""

    def __init__(self, up: Up, home: Path, name: str, *options: str) -> None:
        self.up = up
        self.name = name
        printed = up.run("enroll", name, "--interval", "1", *options).splitlines()
        (line,) = [line for line in printed if "FLEETMEDIC_HOST_KEY" in line]
        *assignments, program, command = shlex.split(line)
        assert (program, command) == (".venv/bin/fleetmedic", "collector")
        given = dict(word.split("=", 1) for word in assignments)
        own = {"HOME": str(home), "XDG_DATA_HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}"}
        self.collector = Part(home / "collector.log", command, **own, **given)

    def host(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        status, answer = self.up.ask(f"/api/v1/hosts/{self.name}")
        assert status == 200, answer
        return answer

    def events(self, event_type: str) -> list[tuple[str, str]]:
        """Return the subject and state of its events of a type, the last opened first."""
        found = self.up.events(f"host={self.name}&type={event_type}")
        return [(event["subject"], event["state"]) for event in found]

    def wait_for(self, event_type: str, *expected: tuple[str, str]) -> None:
        wait_until(lambda: self.events(event_type) == list(expected), self.told, every=0.2)

    def wait_for_snapshot(self) -> None:
        """Wait for a snapshot that is newer than the last."""
        before = self.host()["last_seen"]
        wait_until(lambda: self.host()["last_seen"] != before, self.told)

    def told(self) -> str:
        return f"{self.host()['health']}, {self.up.events(f'host={self.name}')}; {self.collector.said()}"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data", "--host", "127.0.0.1") as up:
        yield up


@pytest.fixture(scope="module")
def systemctl_answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What web-1's systemd says of its service."""
    answer = tmp_path_factory.mktemp("systemd") / "answer"
    answer.write_text(FAILED)
    return answer


@pytest.fixture(scope="module")
def web(up: Up, systemctl_answer: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """web-1, whose shop.service failed."""
    home = tmp_path_factory.mktemp("web-1")
    systemctl = home / "systemctl"
    systemctl.write_text(f'#!/bin/sh\ncat "{systemctl_answer}"\n')
    systemctl.chmod(0o755)
    machine = Machine(up, home, "web-1", "--service", "shop.service")
    yield machine
    machine.collector.kill()


@pytest.fixture(scope="module")
def db(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """db-1, which has the services that this machine has."""
    machine = Machine(up, tmp_path_factory.mktemp("db-1"), "db-1", "--service", "no-such.service")
    yield machine
    machine.collector.kill()


def test_machines_that_run_the_printed_command_appear_among_the_hosts(up: Up, web: Machine, db: Machine) -> None:
    web.wait_for_snapshot()
    db.wait_for_snapshot()
    own, *others = sorted(up.hosts().values(), key=lambda host: host["id"])
    assert {host["name"] for host in others} == {"web-1", "db-1"}
    for host in others:
        assert host["metrics"]["memory_total_bytes"] == own["metrics"]["memory_total_bytes"]
        assert host["monitoring"]


def test_a_service_that_failed_opens_service_down_until_it_runs(web: Machine, systemctl_answer: Path) -> None:
    web.wait_for("service_down", ("shop.service", "open"))
    assert web.host()["health"] == "critical"
    systemctl_answer.write_text(ACTIVE)
    web.wait_for("service_down", ("shop.service", "resolved"))


def test_a_service_that_does_not_exist_is_down_where_systemd_says_so(db: Machine) -> None:
    wait_until(lambda: db.host()["services"] != [], db.told)
    if SYSTEMD_RUNS:
        db.wait_for("service_down", ("no-such.service", "open"))
        assert [service["state"] for service in db.host()["services"]] == ["missing"]
    else:
        # Two snapshots are what it would take.
        db.wait_for_snapshot()
        db.wait_for_snapshot()
        assert db.host()["services"] == [{"name": "no-such.service", "running": False, "state": "unknown"}]
        assert db.events("service_down") == []


def test_a_host_that_dies_is_down_until_it_is_back_and_a_paused_one_is_not(up: Up, web: Machine, db: Machine) -> None:
    assert _monitor(up, "stop", db) == {"running": False, "host": "db-1", "hosts": 1}
    db.collector.wait_until_said("paused by the server")
    web.wait_for_snapshot()
    silent_since = db.host()["last_seen"]
    web.collector.kill()

    web.wait_for("host_down", ("web-1", "open"))
    assert web.host()["health"] == "critical"
    web.collector.start()
    web.wait_for("host_down", ("web-1", "resolved"))

    # It was silent for longer than web-1, and still is.
    assert db.host()["last_seen"] == silent_since
    assert db.events("host_down") == []
    assert _monitor(up, "start", db) == {"running": True, "host": "db-1", "hosts": 1}
    db.wait_for_snapshot()
    assert [event["host"] for event in up.events("type=host_down")] == ["web-1"]


def _monitor(up: Up, action: str, machine: Machine) -> dict[str, Any]:
    status, answer = up.ask(f"/api/agent/monitor/{action}", json.dumps({"host": machine.name}).encode())
    assert status == 200, answer
    return answer
