"""The routes that say what holds a host back."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import NOW
from wire.snapshot import Details, Process

PATH = "/api/agent/optimize"
HOSTILE = "<script>\u202e\x00"


def burn(rows: Any, host: int, name: str = "burner") -> None:
    for number in range(4):
        rows.snapshot(host, NOW - 20 + 5 * number, sequence=number + 1, cpu_percent=99.0, load_1=5.0)
    process = Process(4711, 1.7e9, name, "root", 190.0, 1.0, 1e6)
    rows.details(host, Details(processes_by_cpu=(process,), processes_by_memory=(process,), cpu_count=2))


@pytest.mark.parametrize("method", ["get", "post"])
def test_it_names_the_bottleneck_of_the_only_host(client: FlaskClient, rows: Any, method: str) -> None:
    burn(rows, rows.host("web"))
    answer = getattr(client, method)(PATH)
    told = answer.get_json()
    assert (answer.status_code, told["host"], told["bottleneck"]) == (200, "web", "cpu")
    assert "burner (pid 4711)" in told["findings"][0]["text"]
    assert told["suggestions"][0]["issue_type"] == "cpu_high"


def test_a_host_is_named_by_query_or_body(client: FlaskClient, rows: Any) -> None:
    rows.host("calm")
    busy = rows.host("busy")
    burn(rows, busy)
    assert client.get(PATH, query_string={"host": "busy"}).get_json()["bottleneck"] == "cpu"
    assert client.post(PATH, json={"host": busy}).get_json()["bottleneck"] == "cpu"
    assert client.post(PATH, json={"host": "calm"}).get_json()["bottleneck"] == "none"


def test_the_suggestion_answers_the_open_event(client: FlaskClient, rows: Any) -> None:
    host = rows.host("web")
    burn(rows, host)
    event = rows.event(host)
    assert client.get(PATH).get_json()["suggestions"][0]["event_id"] == event


def test_a_host_without_any_snapshot_has_no_bottleneck(client: FlaskClient, rows: Any) -> None:
    rows.host("new")
    assert client.get(PATH).get_json() == {"host": "new", "bottleneck": "none", "findings": [], "suggestions": []}


def test_hostile_names_are_text_and_unreadable_details_no_error(client: FlaskClient, rows: Any) -> None:
    host = rows.host("web")
    burn(rows, host, HOSTILE)
    assert HOSTILE.replace("\0", "") in client.get(PATH).get_json()["findings"][0]["text"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"host": "nowhere"}, "host"), ({"host": 1.5}, "host"), ({"colour": "red"}, "colour"), ({}, "host")],
)
def test_what_is_wrong_is_named(client: FlaskClient, rows: Any, asked: dict[str, Any], field: str) -> None:
    rows.host("one")
    rows.host("two")
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)
