import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import migrations
from cli.ports import free_port
from store.engine import connect

SERVE = """
import os, sys
from api.server import main
from store.settings import ServerSettings
sys.exit(main(ServerSettings.from_environment(os.environ), sys.argv[1], int(sys.argv[2])))
"""

Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fleetmedic.db'}"


@pytest.fixture
def upgraded(database: str) -> str:
    engine = connect(database)
    migrations.upgrade(engine)
    engine.dispose()
    return database


@pytest.fixture
def serve(database: str, redis_url: str) -> Iterator[Serve]:
    """Starts API processes as the command line does, and ends those that are left."""
    processes = []

    def start(port: int, host: str = "127.0.0.1", **changes: str) -> "subprocess.Popen[str]":
        environment = os.environ | {
            "FLEETMEDIC_DATABASE_URL": database,
            "FLEETMEDIC_REDIS_URL": redis_url,
            "FLEETMEDIC_ADMIN_TOKEN": "secret",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, host, str(port)], env=environment | changes, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def _wait_for_line(process: "subprocess.Popen[str]", part: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if part in line:
            return
    pytest.fail(f"the API never said {part!r}")


def _get(port: int, path: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": "Bearer secret"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def test_a_server_answers_until_it_is_told_to_stop(serve: Serve, upgraded: str) -> None:
    port = free_port()
    process = serve(port)
    _wait_for_line(process, f"listening on http://127.0.0.1:{port}")
    assert [_get(port, path) for path in ("/healthz", "/readyz", "/api/v1/hosts")] == [200, 200, 200]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0


def test_a_server_stops_though_a_client_keeps_its_connection(serve: Serve, upgraded: str) -> None:
    port = free_port()
    process = serve(port)
    _wait_for_line(process, "listening")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_a_port_that_is_taken_is_named(serve: Serve, upgraded: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = serve(port)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said == f"fleetmedic api: port {port} of 127.0.0.1 is taken by another program: choose one with --port\n"


def test_an_address_of_another_machine_is_named(serve: Serve, upgraded: str) -> None:
    process = serve(free_port(), host="192.0.2.1")
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "192.0.2.1" in said
    assert "Traceback" not in said


def test_a_setting_that_cannot_be_used_is_said_in_a_line(serve: Serve, upgraded: str) -> None:
    for name, value in [("FLEETMEDIC_DATABASE_URL", "mysql://x"), ("FLEETMEDIC_REDIS_URL", "ftp://x")]:
        process = serve(free_port(), **{name: value})
        _, said = process.communicate(timeout=20)
        assert process.returncode == 1
        assert said.count("\n") == 1, said


def test_a_server_waits_for_its_database_and_refuses_clients_meanwhile(serve: Serve, database: str) -> None:
    port = free_port()
    process = serve(port)
    _wait_for_line(process, "waiting: the database is at revision None")
    with pytest.raises(urllib.error.URLError):
        _get(port, "/healthz")
    engine = connect(database)
    migrations.upgrade(engine)
    engine.dispose()
    _wait_for_line(process, "listening")
    assert _get(port, "/readyz") == 200


def test_a_server_that_waits_can_be_stopped(serve: Serve, database: str) -> None:
    process = serve(free_port())
    _wait_for_line(process, "waiting")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
