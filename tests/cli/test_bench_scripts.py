"""``bench scripts``, short, with all of its real parts."""

import json
import socket
import threading

import pytest

from cli.bench.pace import percentile
from cli.bench.scripts import Asker
from tests.system.all_in_one import fleetmedic


def test_it_loses_no_script_although_workers_are_killed() -> None:
    done = fleetmedic("bench", "scripts", "--seconds", "4", "--rate", "20", "--kills", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["lost"] == 0
    assert figures["jobs"] == 80
    assert figures["failures"] == []
    assert figures["scripts_asked_for"] == figures["scripts_ready"] == 200
    assert figures["worker_killed"]["jobs"] == 80
    assert (figures["worker_killed"]["processes_killed"], figures["worker_killed"]["workers_killed"]) == (1, 1)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_a_connection_that_the_server_closed_costs_no_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer_and_close, args=(server, 3))
        answering.start()
        asker = Asker(server.getsockname()[1], "token")
        assert [asker.ask() for _ in range(3)] == [(200, {})] * 3
        answering.join()


def answer_and_close(server: socket.socket, connections: int) -> None:
    for _ in range(connections):
        connection, _address = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    ("values", "percent", "value"),
    [
        ([], 50, None),
        ([7.04], 99, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 99, 4.0),
        ([float(number) for number in range(1, 101)], 99, 99.0),
    ],
)
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(
    values: list[float], percent: int, value: float | None
) -> None:
    assert percentile(values, percent) == value
