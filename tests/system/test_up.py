"""``fleetmedic up`` as a person runs it: one process that is started, looked at, hurt and stopped."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from cli.ports import free_port
from tests.system.all_in_one import CLEAN, FLEETMEDIC, Up, fleetmedic, running_up, wait_until


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One ``up`` that watches this machine."""
    with running_up(tmp_path_factory.mktemp("up") / "data") as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start an ``up`` on this test's own folder, with these variables set."""
    started: list[Up] = []

    def start(**environment: str) -> Up:
        started.append(Up(tmp_path / "data", **environment))
        started[-1].wait_for_first_snapshot()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_this_machine_is_shown_as_psutil_sees_it(up: Up) -> None:
    (host,) = json.loads(up.run("hosts", "--json"))["items"]
    memory = psutil.virtual_memory()
    assert host["metrics"]["memory_total_bytes"] == pytest.approx(memory.total, rel=1e-6)
    assert host["metrics"]["memory_percent"] == pytest.approx(memory.percent, abs=5)
    assert host["metrics"]["uptime_seconds"] == pytest.approx(time.time() - psutil.boot_time(), abs=60)
    assert host["metrics"]["processes"] == pytest.approx(len(psutil.pids()), rel=0.2)
    assert abs(datetime.fromisoformat(host["last_seen"]).timestamp() - time.time()) < 30


def test_the_table_of_hosts_names_this_machine(up: Up) -> None:
    shown = fleetmedic("hosts", "--data-dir", str(up.folder)).stdout.splitlines()
    assert len(shown) == 2
    assert shown[0].startswith("NAME")
    assert shown[1].startswith(up.host()["name"])


def test_only_who_has_the_token_is_answered(up: Up) -> None:
    server = up.server()
    stranger = CLEAN | {"FLEETMEDIC_API_URL": server["api_url"], "FLEETMEDIC_ADMIN_TOKEN": "guess"}
    result = subprocess.run([*FLEETMEDIC, "hosts"], env=stranger, capture_output=True, text=True)
    assert result.returncode == 1
    assert "check FLEETMEDIC_ADMIN_TOKEN" in result.stderr


def _sign_in(up: Up, link: str) -> tuple[int, str]:
    """Redeem a link as the page does; return the status and the cookie."""
    page, _, code = link.partition("#code=")
    assert page == f"{up.server()['api_url']}/monitoring-dashboard"
    request = urllib.request.Request(
        f"{up.server()['api_url']}/api/v1/session",
        data=json.dumps({"code": code}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["Set-Cookie"].partition(";")[0]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_the_printed_link_and_each_fresh_one_let_one_browser_in(up: Up) -> None:
    wait_until(lambda: "Ctrl-C stops it" in up.said(), up.said)
    (printed,) = (line.split()[1] for line in up.said().splitlines() if line.startswith("Open "))
    for link in (printed, up.run("link").strip()):
        status, cookie = _sign_in(up, link)
        assert status == 204
        request = urllib.request.Request(f"{up.server()['api_url']}/api/v1/hosts", headers={"Cookie": cookie})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        assert _sign_in(up, link) == (401, "")


def test_a_second_up_on_the_folder_names_the_first(up: Up) -> None:
    second = fleetmedic("up", "--data-dir", str(up.folder), "--port", str(free_port()))
    assert second.returncode == 1
    assert second.stderr == f"fleetmedic: {up.folder} is in use by `fleetmedic up` with pid {up.process.pid}\n"


def test_doctor_finds_a_running_up_healthy(up: Up) -> None:
    def doctor() -> subprocess.CompletedProcess[str]:
        return fleetmedic("doctor", "--data-dir", str(up.folder))

    # A worker that has just started has done nothing yet.
    wait_until(lambda: "none was at work" not in doctor().stdout)
    result = doctor()
    assert (result.returncode, result.stdout.count("  ok  ")) == (0, 7), result.stdout


@pytest.mark.parametrize("option", ["--port", "--redis-port"])
def test_a_taken_port_is_named_before_anything_starts(option: str, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        free = {"--port": str(free_port()), "--redis-port": str(free_port())}
        options = [word for pair in (free | {option: port}).items() for word in pair]
        result = fleetmedic("up", "--data-dir", str(tmp_path), *options)
    assert result.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in result.stderr
    assert option in result.stderr
    assert not (tmp_path / "fleetmedic.db").exists()


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # A file in the way stops even root.
    (tmp_path / "file").touch()
    result = fleetmedic("up", "--data-dir", str(tmp_path / "file" / "data"))
    assert result.returncode == 1
    assert result.stderr.startswith(f"fleetmedic: the data folder {tmp_path}/file/data cannot be written")


@pytest.mark.parametrize("name", ["collector", "worker", "api", "redis"])
def test_a_part_that_is_killed_comes_back_and_data_flows_again(name: str, up: Up) -> None:
    before = up.part(name)
    before.kill()
    killed_at = time.time()
    wait_until(lambda: f"{name} ended (killed by SIGKILL)" in up.said(), up.said)

    def flows() -> bool:
        try:
            return datetime.fromisoformat(up.host()["last_seen"]).timestamp() > killed_at + 1
        except (OSError, HTTPException):
            return False

    wait_until(flows, up.said)
    assert up.part(name).pid != before.pid


def test_sigterm_stops_all_and_the_next_start_goes_on(start: Callable[..., Up]) -> None:
    first = start()
    family = first.family()
    server = first.server()
    host = first.host()
    first.process.terminate()
    assert first.process.wait(30) == 0
    assert [process for process in family if not is_gone(process)] == []
    assert not (first.folder / "server.json").exists()
    second = start()
    assert second.host()["id"] == host["id"]
    assert second.server()["collector_redis_url"] == server["collector_redis_url"]


def test_kill_9_leaves_nothing_behind_and_the_next_start_goes_on(start: Callable[..., Up]) -> None:
    first = start()
    family = first.family()
    assert len(family) >= 5
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    wait_until(lambda: all(is_gone(process) for process in family))
    assert start().host()["health"] in ("healthy", "warning", "critical")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_redis_and_a_database_that_are_set_are_used(
    start: Callable[..., Up], redis_url: str, database_url: str
) -> None:
    up = start(FLEETMEDIC_REDIS_URL=redis_url, FLEETMEDIC_DATABASE_URL=database_url, FLEETMEDIC_ADMIN_TOKEN="chosen")
    assert "from FLEETMEDIC_REDIS_URL" in up.said()
    assert up.host()["last_seen"] is not None
    left_alone = ["admin-token", "fleetmedic.db", "redis"]
    assert [name for name in left_alone if (up.folder / name).exists()] == []
