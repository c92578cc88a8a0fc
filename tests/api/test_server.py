import http.client
import json
import shutil
import signal
import socket
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import migrations
from cli.ports import free_port
from cli.redis_server import RedisServer
from store.engine import connect
from tests.api.served import Served

Serve = Callable[..., Served]


def test_a_server_answers_until_it_is_told_to_stop(serve: Serve, upgraded: str) -> None:
    server = serve()
    server.wait_for_line(f"listening on http://127.0.0.1:{server.port}")
    assert [server.get(path) for path in ("/healthz", "/readyz", "/api/v1/hosts")] == [200, 200, 200]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=20) == 0


def test_a_server_stops_though_a_client_keeps_its_connection(serve: Serve, upgraded: str) -> None:
    server = serve()
    server.wait_for_line("listening")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0


def test_a_port_that_is_taken_is_named(serve: Serve, upgraded: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = serve(port=port)
        said = server.last_words()
    assert server.process.returncode == 1
    assert said == f"fleetmedic api: port {port} of 127.0.0.1 is taken by another program: choose one with --port\n"


def test_an_address_of_another_machine_is_named(serve: Serve, upgraded: str) -> None:
    server = serve(host="192.0.2.1")
    said = server.last_words()
    assert server.process.returncode == 1
    assert "192.0.2.1" in said
    assert "Traceback" not in said


def test_a_setting_that_cannot_be_used_is_said_in_a_line(serve: Serve, upgraded: str) -> None:
    for name, value in [("FLEETMEDIC_DATABASE_URL", "mysql://x"), ("FLEETMEDIC_REDIS_URL", "ftp://x")]:
        server = serve(**{name: value})
        said = server.last_words()
        assert server.process.returncode == 1
        assert said.count("\n") == 1, said


def test_a_server_waits_for_its_database_and_refuses_clients_meanwhile(serve: Serve, database: str) -> None:
    server = serve()
    server.wait_for_line("waiting: the database is at revision None")
    with pytest.raises(urllib.error.URLError):
        server.get("/healthz")
    engine = connect(database)
    migrations.upgrade(engine)
    engine.dispose()
    server.wait_for_line("listening")
    assert server.get("/readyz") == 200


def test_a_server_that_waits_can_be_stopped(serve: Serve, database: str) -> None:
    server = serve()
    server.wait_for_line("waiting")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=20) == 0


def test_what_strangers_send_is_escaped_in_the_log(serve: Serve, upgraded: str) -> None:
    server = serve()
    server.wait_for_line("listening")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /\x1b[2J\x85 HTTP/9\x1b[31m\r\n\r\n")
        assert b" 400 " in client.recv(4096)
    line = server.wait_for_line("refused what")
    assert r"\x1b[31m" in line
    assert line.rstrip("\n").isprintable()


@pytest.fixture(scope="module")
def listening(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: RedisServer
) -> Iterator[Served]:
    """One server for all that it refuses."""
    database = tmp_path_factory.mktemp("listening") / "served.db"
    shutil.copy(sqlite_template, database)
    environment = {"FLEETMEDIC_DATABASE_URL": f"sqlite:///{database}", "FLEETMEDIC_REDIS_URL": redis_server.url}
    server = Served(free_port(), "127.0.0.1", environment)
    server.wait_for_line("listening")
    yield server
    server.end()


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET /" + "a" * 9_000, [], 414),
        ("GET /healthz", ["Long: " + "x" * 9_000], 431),
        ("GET /healthz", ["Content-Length: -1"], 400),
        ("GET /healthz", ["Transfer-Encoding: rot13"], 400),
        ("POST /api/v1/session", ["Content-Type: application/json", "Transfer-Encoding: chunked", "", "no size"], 400),
    ],
    ids=["a long address", "long headers", "a length that is none", "an unknown coding", "chunks that are none"],
)
def test_what_is_no_proper_http_is_refused_with_a_problem_document(
    listening: Served, request_line: str, headers: list[str], status: int
) -> None:
    lines = [f"{request_line} HTTP/1.1", "Host: x", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", listening.port), timeout=10) as client:
        client.sendall("\r\n".join(lines).encode())
        response = http.client.HTTPResponse(client)
        response.begin()
        document = json.load(response)
    assert (response.status, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert document["status"] == status
