import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine, select

from store.engine import reading
from store.schema import hosts
from wire.keys import QUEUE_INGEST, TASK_PUBLISH_CONFIGS
from wire.metrics import NAMES

NOW = 1_800_000_000.0


def _paused(engine: Engine) -> dict[str, bool]:
    with reading(engine) as connection:
        return {row.name: row.paused for row in connection.execute(select(hosts.c.name, hosts.c.paused))}


def _sent(redis_url: str) -> list[tuple[str, Any]]:
    """The tasks that wait for the workers, the oldest first, as (name, arguments)."""
    with redis.Redis.from_url(redis_url) as client:
        messages = [json.loads(message) for message in client.lrange(QUEUE_INGEST, 0, -1)][::-1]
    assert {message["content-type"] for message in messages} <= {"application/json"}
    return [(message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0]) for message in messages]


@pytest.mark.parametrize("reference", ["id", "id as text", "name"])
def test_a_host_is_stopped_and_started_by_id_and_by_name(
    client: FlaskClient, rows: Any, engine: Engine, redis_url: str, reference: str
) -> None:
    web = rows.host("web")
    rows.host("db")
    host = {"id": web, "id as text": str(web), "name": "web"}[reference]
    answer = client.post("/api/agent/monitor/stop", json={"host": host})
    assert answer.get_json() == {"running": False, "host": "web", "hosts": 1}
    assert _paused(engine) == {"web": True, "db": False}
    answer = client.post("/api/agent/monitor/start", json={"host": host})
    assert answer.get_json() == {"running": True, "host": "web", "hosts": 1}
    assert _paused(engine) == {"web": False, "db": False}
    assert _sent(redis_url) == [(TASK_PUBLISH_CONFIGS, [[web]])] * 2


def test_a_star_is_the_whole_fleet(client: FlaskClient, rows: Any, engine: Engine, redis_url: str) -> None:
    rows.host("web")
    rows.host("db")
    answer = client.post("/api/agent/monitor/stop", json={"host": "*"})
    assert answer.get_json() == {"running": False, "host": "*", "hosts": 2}
    assert _paused(engine) == {"web": True, "db": True}
    assert _sent(redis_url) == [(TASK_PUBLISH_CONFIGS, [None])]


def test_without_a_host_this_machine_is_meant(
    make_client: Callable[..., FlaskClient], rows: Any, engine: Engine
) -> None:
    rows.host("web")
    rows.host("here")
    answer = make_client(own_host="here").post("/api/agent/monitor/stop")
    assert (answer.status_code, answer.get_json()["host"]) == (200, "here")
    assert _paused(engine) == {"web": False, "here": True}


def test_without_a_host_the_only_one_is_meant(make_client: Callable[..., FlaskClient], rows: Any) -> None:
    rows.host("web")
    answer = make_client(own_host="elsewhere").post("/api/agent/monitor/stop", json={})
    assert answer.get_json()["host"] == "web"


@pytest.mark.parametrize("names", [[], ["web", "db"]], ids=["none", "two"])
def test_without_a_host_that_can_be_meant_the_field_is_asked_for(
    client: FlaskClient, rows: Any, engine: Engine, redis_url: str, names: list[str]
) -> None:
    for name in names:
        rows.host(name)
    answer = client.post("/api/agent/monitor/stop")
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (400, "host")
    assert not any(_paused(engine).values())
    assert _sent(redis_url) == []


def test_a_stop_while_redis_is_down_is_stored_and_says_so(
    make_client: Callable[..., FlaskClient], rows: Any, engine: Engine
) -> None:
    rows.host("web")
    answer = make_client(redis_url="redis://127.0.0.1:1/0").post("/api/agent/monitor/stop")
    assert answer.status_code == 503
    assert "the change is stored" in answer.get_json(force=True)["detail"]
    assert _paused(engine) == {"web": True}


def test_the_status_of_one_host_has_its_metrics_and_the_fleet_around_it(
    make_client: Callable[..., FlaskClient], rows: Any
) -> None:
    here, ill = rows.host("here"), rows.host("ill", paused=True)
    rows.snapshot(here, cpu_percent=12.5)
    rows.snapshot(ill)
    warning = rows.event(here, severity="medium")
    rows.event(ill, severity="critical")
    status = make_client(own_host="here").get("/api/agent/monitor/status").get_json()
    assert (status["running"], status["host"]) == (True, "here")
    assert status["health"] == {
        "status": "warning",
        "open_events": 1,
        "metrics": dict.fromkeys(NAMES) | {"cpu_percent": 12.5},
        "hosts": {"healthy": 0, "warning": 1, "critical": 1, "unknown": 0, "total": 2, "monitored": 1},
    }
    assert [event["id"] for event in status["recent_events"]] == [warning]


def test_the_status_of_the_fleet_is_that_of_its_worst_host(client: FlaskClient, rows: Any) -> None:
    assert client.get("/api/agent/monitor/status?host=*").get_json()["health"]["status"] == "unknown"
    for number, (severity, expected) in enumerate([(None, "healthy"), ("low", "warning"), ("high", "critical")]):
        host = rows.host(f"h-{number}")
        rows.snapshot(host)
        if severity:
            rows.event(host, severity=severity)
        status = client.get("/api/agent/monitor/status?host=*").get_json()
        assert (status["host"], status["health"]["status"]) == ("*", expected)
    assert status["health"]["open_events"] == 2
    assert status["health"]["metrics"] is None


def test_monitoring_runs_while_what_is_meant_is_not_paused(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    rows.host("db")

    def running(host: str) -> bool:
        return client.get(f"/api/agent/monitor/status?host={host}").get_json()["running"]

    client.post("/api/agent/monitor/stop", json={"host": "web"})
    assert (running("web"), running("db"), running("*")) == (False, True, True)
    client.post("/api/agent/monitor/stop", json={"host": "*"})
    assert (running("db"), running("*")) == (False, False)


def test_the_status_shows_the_last_ten_events(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    events = [rows.event(web, subject=str(age), opened_at=NOW - age) for age in range(12)]
    status = client.get("/api/agent/monitor/status").get_json()
    assert [event["id"] for event in status["recent_events"]] == events[:10]


def test_events_are_counted_and_filtered(client: FlaskClient, rows: Any) -> None:
    web, db = rows.host("web"), rows.host("db")
    first = rows.event(web, opened_at=NOW - 9)
    second = rows.event(db, type="disk_full", subject="/", opened_at=NOW - 5, severity="critical")

    def ids(query: str) -> list[int]:
        answer = client.get(f"/api/agent/monitor/events?{query}").get_json()
        assert answer["count"] == len(answer["events"])
        return [event["id"] for event in answer["events"]]

    assert ids("") == [second, first]
    assert ids("limit=1") == [second]
    assert ids("host=web") == [first]
    assert ids("type=disk_full&severity=critical&state=open") == [second]
    assert ids(f"since={NOW - 6}") == [second]


def test_clearing_hides_what_is_resolved_and_nothing_else(client: FlaskClient, rows: Any) -> None:
    web, db = rows.host("web"), rows.host("db")
    rows.event(web, state="resolved", resolved_at=NOW)
    still_open = rows.event(web)
    elsewhere = rows.event(db, state="resolved", resolved_at=NOW)

    def shown() -> set[int]:
        return {event["id"] for event in client.get("/api/agent/monitor/events").get_json()["events"]}

    assert client.post("/api/agent/monitor/clear", json={"host": "web"}).get_json() == {"cleared": 1}
    assert shown() == {still_open, elsewhere}
    assert client.post("/api/agent/monitor/clear").get_json() == {"cleared": 1}
    assert client.post("/api/agent/monitor/clear", json={"host": "*"}).get_json() == {"cleared": 0}
    assert shown() == {still_open}
    assert len(client.get("/api/v1/events").get_json()["items"]) == 3
