"""The routes that say what holds a host back."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.api.conftest import NOW
from tests.api.remedies import publish
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
    assert "`burner` (pid 4711)" in told["findings"][0]["text"]
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
    told = client.get(PATH).get_json()
    assert (told["bottleneck"], told["findings"], told["suggestions"]) == ("none", [], [])
    assert told["summary"] == "`new` has not sent anything yet."


def test_hostile_names_are_escaped_where_they_are_said(client: FlaskClient, rows: Any) -> None:
    burn(rows, rows.host("web"), HOSTILE)
    assert "`<script>\\u202e`" in client.get(PATH).get_json()["findings"][0]["text"]


def test_details_that_cannot_be_read_leave_what_the_metrics_tell(client: FlaskClient, rows: Any) -> None:
    host = rows.host("web")
    rows.snapshot(host, cpu_percent=99.0)
    rows.details(host, b"\xc1")
    assert client.get(PATH).get_json()["bottleneck"] == "cpu"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"host": "one", "fleet": True}, "fleet"),
        ({"fleet": "all"}, "fleet"),
        ({"host": "nowhere"}, "host"),
        ({"host": 1.5}, "host"),
        ({"colour": "red"}, "colour"),
        ({}, "host"),
    ],
)
def test_what_is_wrong_is_named(client: FlaskClient, rows: Any, asked: dict[str, Any], field: str) -> None:
    rows.host("one")
    rows.host("two")
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)


def test_it_tells_what_is_usual_and_what_the_peers_are_like(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web", tags=["shop", "all"])
    burn(rows, web)
    rows.hours(web, NOW - 7 * 86400, NOW, lambda at: 12.0 if at % 172_800 < 86_400 else 31.0)
    for number, cpu_percent in enumerate((20.0, 22.0, 24.0, 30.0, 90.0)):
        peer = rows.host(f"peer-{number}", tags=["shop", "all"])
        rows.fives(peer, NOW - 3600, NOW, lambda _, mean=cpu_percent: mean)
    stranger = rows.host("stranger", tags=["all"])
    rows.fives(stranger, NOW - 3600, NOW, lambda _: 1.0)
    told = client.get(PATH, query_string={"host": "web"}).get_json()
    assert told["peers"] == {"tag": "shop", "hosts": 5}
    said = [sentence["text"] for sentence in told["findings"][0]["sentences"]]
    assert "At this hour of the last days it was 12 % to 31 %." in said
    assert "Half of 5 peers with the tag `shop` were below 24 % in the last hour." in said


def test_a_leak_is_found_in_what_is_rolled_up(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, memory_percent=76.0)
    rows.fives(web, NOW - 12 * 3600, NOW, lambda at: 76 - (NOW - at) / 3600 * 3, "memory_percent")
    told = client.get(PATH).get_json()
    assert told["bottleneck"] == "leak"
    assert "3 % an hour" in told["summary"]


def test_of_a_silent_host_it_tells_how_it_was_before(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, NOW - 7200, cpu_percent=99.0)
    rows.event(web, "host_down", severity="critical")
    told = client.get(PATH).get_json()
    assert (told["bottleneck"], told["as_of"]) == ("cpu", "2027-01-15T06:00:00.000Z")
    assert "silent for 2 h" in told["summary"]
    assert [one["no_remedy"] for one in told["suggestions"]] == ["No script reaches a host that is silent."]


@pytest.mark.parametrize("asked", [{"fleet": "true"}, {"host": "*"}])
def test_of_the_fleet_it_tells_who_is_held_back_and_what_they_share(
    client: FlaskClient, rows: Any, asked: dict[str, str]
) -> None:
    for number in range(7):
        name, tags, cpu = ("busy", ["batch", "all"], 99.0) if number < 3 else ("calm", ["all"], 20.0)
        host = rows.host(f"{name}-{number}", tags=tags)
        rows.fives(host, NOW - 900, NOW - 1, lambda _, mean=cpu: mean)
        rows.snapshot(host, cpu_percent=cpu)
    told = client.get(PATH, query_string=asked).get_json()
    assert (told["host"], told["bottleneck"]) == ("*", "cpu")
    finding = told["findings"][0]
    assert (finding["value"], finding["unit"]) == (3, "hosts")
    assert [one["host"] for one in finding["hosts"]] == ["busy-0", "busy-1", "busy-2"]
    assert [sentence["text"] for sentence in finding["sentences"]] == [
        "3 of 7 hosts are held back by their CPU.",
        "`busy-0` 99 %, `busy-1` 99 % and `busy-2` 99 %.",
        "Half of all hosts are below 20 %.",
        "3 of them bear the tag `batch`, as 3 hosts do.",
    ]


def test_what_just_began_on_a_host_is_seen_of_the_fleet_by_its_event(client: FlaskClient, rows: Any) -> None:
    rows.snapshot(rows.host("calm"), cpu_percent=10.0)
    busy = rows.host("busy")
    burn(rows, busy)
    rows.fives(busy, NOW - 900, NOW - 1, lambda _: 5.0)
    event = rows.event(busy)
    told = client.post(PATH, json={"fleet": True}).get_json()
    first = told["suggestions"][0]
    assert (told["bottleneck"], first["host"], first["event_id"]) == ("cpu", "busy", event)


def test_a_diagnosis_of_the_fleet_is_answered_again_for_some_seconds(
    make_client: Callable[..., FlaskClient], engine: Engine
) -> None:
    now = [NOW]
    client = make_client(now=lambda: now[0])

    def as_of() -> str:
        return str(client.get(PATH, query_string={"fleet": "true"}).get_json()["as_of"])[-7:-1]

    said = [as_of()]
    for now[0] in (NOW + 4, NOW + 5, NOW + 4.9, NOW):
        said.append(as_of())
    publish(engine)
    now[0] = NOW + 1
    said.append(as_of())
    assert said == ["00.000", "00.000", "05.000", "05.000", "00.000", "01.000"]


def test_a_fleet_without_hosts_is_not_held_back(client: FlaskClient) -> None:
    told = client.get(PATH, query_string={"fleet": "true"}).get_json()
    assert (told["bottleneck"], told["findings"], told["suggestions"]) == ("none", [], [])
