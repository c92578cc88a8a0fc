import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from api.streams import MAX_STREAMS, Streams
from store import sessions
from store.engine import writing
from tests.api.served import TOKEN, Served
from wire.keys import CHANGES

NOW = 1_800_000_000.0
BEAT = ": still following"


@pytest.fixture
def database_url(upgraded: str) -> str:
    """SQLite alone will do: what the database does is not what is tried here."""
    return upgraded


@pytest.fixture
def announce(redis_url: str) -> Iterator[Callable[..., None]]:
    """Announces changes as a worker does."""
    with redis.Redis.from_url(redis_url) as client:
        yield lambda **change: client.publish(CHANGES, json.dumps(change))


def _following(client: FlaskClient, path: str = "/api/v1/stream") -> tuple[TestResponse, Iterator[str]]:
    """Open a stream; return the answer and the lines that come, empty ones left out."""
    answer = client.get(path, buffered=False)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    lines = (line for chunk in answer.iter_encoded() for line in chunk.decode().splitlines() if line)
    assert next(lines) == ": following"
    return answer, lines


def test_a_stream_tells_what_is_announced(client: FlaskClient, announce: Callable[..., None]) -> None:
    _, lines = _following(client)
    announce(snapshots=[1, 2])
    assert [next(lines), next(lines)] == ["event: snapshots", 'data: {"hosts":[1,2]}']
    announce(scripts={9: "ready"})
    assert [next(lines), next(lines)] == ["event: scripts", 'data: {"scripts":[9],"states":{"9":"ready"}}']


def test_changes_that_come_close_together_are_told_as_one(client: FlaskClient, announce: Callable[..., None]) -> None:
    _, lines = _following(client)
    for host in range(50):
        announce(events=[host])
    told: list[list[int]] = []
    while sum(len(hosts) for hosts in told) < 50:
        assert next(lines) == "event: events"
        told.append(json.loads(next(lines).removeprefix("data: "))["hosts"])
    assert sorted(host for hosts in told for host in hosts) == list(range(50))
    assert len(told) < 10


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_stream_of_one_host_tells_of_no_other(
    client: FlaskClient, rows: Any, announce: Callable[..., None], by: str
) -> None:
    web, db = rows.host("web"), rows.host("db")
    _, lines = _following(client, f"/api/v1/stream?host={web if by == 'id' else 'web'}")
    announce(events=[db])
    announce(snapshots=[db, web])
    assert [next(lines), next(lines)] == ["event: snapshots", f'data: {{"hosts":[{web}]}}']


def test_a_stream_of_a_host_that_there_is_not_is_refused(client: FlaskClient) -> None:
    answer = client.get("/api/v1/stream?host=nobody")
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (400, "host")


def test_a_stream_says_that_it_lives(make_client: Callable[..., FlaskClient]) -> None:
    _, lines = _following(make_client(streams=Streams(heartbeat_seconds=0.1)))
    assert [next(lines), next(lines)] == [BEAT, BEAT]


def test_a_stream_ends_with_its_session(make_client: Callable[..., FlaskClient], engine: Engine) -> None:
    with writing(engine) as connection:
        session = sessions.open_session(connection, NOW)
    browser = make_client(streams=Streams(heartbeat_seconds=0.1))
    browser.environ_base.pop("HTTP_AUTHORIZATION")
    browser.set_cookie("fleetmedic_session", session)
    _, lines = _following(browser)
    assert next(lines) == BEAT
    with writing(engine) as connection:
        sessions.close_session(connection, session)
    assert list(lines) in ([], [BEAT])


def test_there_are_only_so_many_streams_and_one_that_ends_makes_room(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(streams=Streams(limit=2))
    first, _ = _following(client)
    _following(client)
    refused = client.get("/api/v1/stream")
    assert (refused.status_code, refused.mimetype) == (503, "application/problem+json")
    assert "2 streams" in refused.get_json(force=True)["detail"]
    first.close()
    _following(client)
    assert client.get("/api/v1/stream").status_code == 503


def test_what_opens_no_stream_takes_no_place(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(streams=Streams(limit=1))
    assert client.head("/api/v1/stream", buffered=True).status_code == 200
    assert client.get("/api/v1/stream?host=nobody").status_code == 400
    _following(client)


def test_without_redis_there_are_no_streams(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(streams=Streams(limit=1), redis_url="redis://127.0.0.1:1/0")
    for _ in range(3):
        answer = client.get("/api/v1/stream")
        assert (answer.status_code, answer.get_json(force=True)["detail"][:21]) == (503, "Redis does not answer")


def test_a_stream_ends_when_redis_goes(client: FlaskClient, redis_url: str) -> None:
    _, lines = _following(client)
    with redis.Redis.from_url(redis_url) as server:
        assert server.client_kill_filter(_type="pubsub") == 1
    assert list(lines) == []


@pytest.fixture
def server(serve: Callable[..., Served], upgraded: str) -> Served:
    """A process that serves the API."""
    server = serve()
    server.wait_for_line("listening")
    return server


@pytest.fixture
def readers(server: Served) -> Iterator[list[http.client.HTTPResponse]]:
    """As many open streams as there may be."""
    opened = [_open(server) for _ in range(MAX_STREAMS)]
    yield opened
    for reader in opened:
        reader.close()


def _open(server: Served) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/api/v1/stream", headers={"Authorization": f"Bearer {TOKEN}"})
    response = connection.getresponse()
    if response.status == 200:
        assert response.readline() == b": following\n"
    return response


def test_requests_are_answered_while_all_streams_are_taken(
    server: Served, readers: list[http.client.HTTPResponse]
) -> None:
    with _open(server) as one_more:
        assert one_more.status == 503
    assert [server.get("/api/v1/hosts") for _ in range(5)] == [200] * 5


def test_a_reader_that_goes_makes_room(server: Served, readers: list[http.client.HTTPResponse]) -> None:
    readers[3].close()
    deadline = time.monotonic() + 30
    status = 503
    while status == 503:
        assert time.monotonic() < deadline
        with _open(server) as newcomer:
            status = newcomer.status


def test_a_server_that_is_told_to_stop_ends_its_streams_in_order(
    server: Served, readers: list[http.client.HTTPResponse]
) -> None:
    server.process.send_signal(signal.SIGTERM)
    # http.client raises IncompleteRead for a stream that was cut off.
    assert {reader.read() for reader in readers} == {b"\n"}
    assert server.process.wait(timeout=20) == 0
