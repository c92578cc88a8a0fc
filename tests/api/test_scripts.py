import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from store import script_jobs, scripts
from store.engine import reading, writing
from tests.api.remedies import SCRIPT, TEMPLATES, publish, tasks
from wire.keys import CHANGES, TASK_RENDER, script_done
from wire.snapshot import Details
from worker.script_jobs import render_jobs

NOW = 1_800_000_000.0
PATH = "/api/v1/scripts"


@pytest.fixture(autouse=True)
def catalogue(engine: Engine) -> None:
    publish(engine)


def _ask(client: FlaskClient, **body: Any) -> int:
    answer = client.post(PATH, json={"issue_type": "cpu_high"} | body)
    assert answer.status_code == 202, answer.get_data(as_text=True)
    return answer.get_json()["id"]


def _stored(engine: Engine, script_id: int) -> scripts.Script:
    with reading(engine) as connection:
        script = scripts.find(connection, script_id)
    assert script
    return script


def test_a_script_that_is_asked_for_is_queued_and_the_workers_are_told(
    client: FlaskClient, engine: Engine, redis_url: str
) -> None:
    answer = client.post(PATH, json={"issue_type": "cpu_high", "parameters": {"pid": 7.0, "action": None}})
    script_id = answer.get_json()["id"]
    assert (answer.status_code, answer.get_json()["state"]) == (202, "queued")
    assert answer.headers["Location"] == f"{PATH}/{script_id}"
    stored = _stored(engine, script_id)
    assert (stored.state, stored.given, stored.automatic, stored.requested_at) == ("queued", {"pid": 7}, False, NOW)
    with redis.Redis.from_url(redis_url) as waiting:
        assert tasks(waiting) == [(TASK_RENDER, [script_id])]


def test_a_script_is_shown_with_all_that_is_known_of_it(client: FlaskClient, rows: Any, engine: Engine) -> None:
    web = rows.host("web")
    event = rows.event(web, evidence={"processes": [{"pid": 99, "cpu_percent": 98.0, "start_time": 5.0}]})
    script_id = _ask(client, event_id=event, parameters={"share": 1.5})
    queued = client.get(f"{PATH}/{script_id}").get_json()
    assert (queued["state"], queued["script"], queued["ready_at"]) == ("queued", None, None)
    render_jobs(engine, {"cpu_high": TEMPLATES["cpu_high"]}, [script_id], NOW + 1)
    ready = client.get(f"{PATH}/{script_id}").get_json()
    assert ready["script"].startswith("#!/bin/bash\n")
    assert ready == {
        "id": script_id,
        "issue_type": "cpu_high",
        "script_type": "bash",
        "host": "web",
        "host_id": web,
        "event_id": event,
        "automatic": False,
        "state": "ready",
        "attempts": 1,
        "requested_at": "2027-01-15T08:00:00.000Z",
        "requested_by": "admin token",
        "ready_at": "2027-01-15T08:00:01.000Z",
        "error": None,
        "given": {"share": 1.5},
        "parameters": ready["parameters"],
        "remedy_version": "1.2.0",
        "filename": f"fleetmedic-cpu_high-event-{event}.sh",
        "description": "Ends the busiest process.",
        "run_command": ready["run_command"],
        "requires_admin": True,
        "sha256": hashlib.sha256(ready["script"].encode()).hexdigest(),
        "script": ready["script"],
    }
    del ready["script"]
    assert client.get(PATH).get_json()["items"] == [ready]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"issue_type": "gout"}, "issue_type", "names no remedy, and no type of event that one answers: there are cpu"),
        ({"issue_type": 7}, "issue_type", "does not fit"),
        ({"issue_type": None}, "issue_type", "does not fit"),
        ({"issue_type": "cpu_high\0"}, "issue_type", "does not fit"),
        ({"host": "nowhere"}, "host", "no host has the id or name 'nowhere'"),
        ({"host": "*"}, "host", "names none"),
        ({"event_id": 4711}, "event_id", "no event has the id 4711"),
        ({"event_id": 0}, "event_id", "does not fit"),
        ({"script_type": "perl"}, "script_type", "does not fit"),
        ({"issue_type": "service_restart", "script_type": "powershell"}, "script_type", "service_restart has bash"),
        ({"parameters": []}, "parameters", "does not fit"),
        ({"parameters": {"pdi": 7}}, "parameters.pdi", "is no parameter of cpu_high: it takes action, force"),
        ({"parameters": {"pid": 1}}, "parameters.pid", "must be an integer from 2 to 4194304"),
        ({"parameters": {"pid": 2.5}}, "parameters.pid", "must be an integer"),
        ({"parameters": {"pid": "7"}}, "parameters.pid", "must be an integer"),
        ({"parameters": {"pid": True}}, "parameters.pid", "must be an integer"),
        ({"parameters": {"pid": [7]}}, "parameters.pid", "must be an integer"),
        ({"parameters": {"pid": {"a": 1}}}, "parameters.pid", "must be an integer"),
        ({"parameters": {"share": 10**400}}, "parameters.share", "must be a number"),
        ({"parameters": {"action": "hug"}}, "parameters.action", "must be one of renice, terminate"),
        ({"parameters": {"force": 1}}, "parameters.force", "must be true or false"),
        ({"issue_type": "service_restart"}, "parameters.service", "is needed: a string of at most 20 characters"),
        (
            {"issue_type": "service_restart", "parameters": {"service": "x; reboot"}},
            "parameters.service",
            "must be a string of at most 20 characters that matches",
        ),
        ({"issue_type": "service_restart", "parameters": {"service": "a" * 21}}, "parameters.service", "must be"),
        (
            {"colour": "red"},
            "colour",
            "is not known here: there are event_id, host, issue_type, parameters, script_type",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_at_once_by_name(
    client: FlaskClient, redis_url: str, body: dict[str, Any], field: str, words: str
) -> None:
    answer = client.post(PATH, json={"issue_type": "cpu_high"} | body)
    problem = answer.get_json(force=True)
    assert (answer.status_code, answer.mimetype, problem["field"]) == (400, "application/problem+json", field)
    assert problem["detail"].startswith(field + " ")
    assert words in problem["detail"]
    assert client.get(PATH).get_json()["items"] == []
    with redis.Redis.from_url(redis_url) as waiting:
        assert tasks(waiting) == []


def test_the_issue_type_cannot_be_left_out(client: FlaskClient) -> None:
    answer = client.post(PATH, json={})
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (400, "issue_type")


def test_a_type_of_event_is_taken_for_the_remedy_that_answers_it(client: FlaskClient, engine: Engine) -> None:
    assert _stored(engine, _ask(client, issue_type="cpu_spike")).issue_type == "cpu_high"


def test_what_an_event_fills_in_need_not_be_given_but_what_is_given_is_checked(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), "service_down", subject="nginx")
    asked = {"issue_type": "service_restart", "event_id": event}
    assert client.post(PATH, json=asked).status_code == 202
    answer = client.post(PATH, json=asked | {"parameters": {"service": "x; reboot"}})
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (400, "parameters.service")


def test_an_event_that_the_remedy_does_not_answer_is_refused(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), "disk_full", subject="/")
    problem = client.post(PATH, json={"issue_type": "cpu_high", "event_id": event}).get_json(force=True)
    assert problem["field"] == "event_id"
    assert "an event of type disk_full: cpu_high answers cpu_high, cpu_spike" in problem["detail"]


def test_host_and_event_must_agree(client: FlaskClient, rows: Any, engine: Engine) -> None:
    web, _db = rows.host("web"), rows.host("db")
    event = rows.event(web)
    problem = client.post(PATH, json={"issue_type": "cpu_high", "event_id": event, "host": "db"}).get_json(force=True)
    assert (problem["field"], "is one of web" in problem["detail"]) == ("host", True)
    for host in (None, "web", web, str(web)):
        assert _stored(engine, _ask(client, event_id=event, host=host)).host == "web"


def test_the_host_is_the_one_that_is_meant_or_none(
    client: FlaskClient, make_client: Callable[..., FlaskClient], rows: Any, engine: Engine
) -> None:
    assert _stored(engine, _ask(client)).host is None
    rows.host("web")
    assert _stored(engine, _ask(client)).host == "web"
    rows.host("db")
    assert _stored(engine, _ask(client)).host is None
    assert _stored(engine, _ask(make_client(own_host="db"))).host == "db"


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (Details(platform="linux"), "bash"),
        (Details(platform="darwin"), "bash"),
        (Details(platform="windows"), "powershell"),
        (Details(), "bash"),
        (b"not to be read", "bash"),
        (None, "bash"),
    ],
)
def test_the_script_type_is_what_the_host_runs_by_itself(
    client: FlaskClient, rows: Any, engine: Engine, details: Details | bytes | None, expected: str
) -> None:
    web = rows.host("web")
    if details is not None:
        rows.details(web, details)
    assert _stored(engine, _ask(client, host="web")).script_type == expected
    assert _stored(engine, _ask(client, host="web", script_type="powershell")).script_type == "powershell"


def test_a_script_asked_for_while_redis_is_down_stays_queued(
    make_client: Callable[..., FlaskClient], engine: Engine
) -> None:
    answer = make_client(redis_url="redis://127.0.0.1:1/0").post(PATH, json={"issue_type": "cpu_high"})
    problem = answer.get_json(force=True)
    assert answer.status_code == 503
    assert "it is made when Redis is back" in problem["detail"]
    assert _stored(engine, problem["id"]).state == "queued"


def test_pages_hold_every_script_once_the_last_one_first(client: FlaskClient) -> None:
    asked = [_ask(client, parameters={"pid": pid}) for pid in range(2, 7)]
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"{PATH}?limit=2{cursor}").get_json()
        seen += [script["id"] for script in page["items"]]
        cursor = None if page["next"] is None else f"&cursor={page['next']}"
    assert seen == asked[::-1]


def test_scripts_are_found_by_each_filter(client: FlaskClient, rows: Any) -> None:
    web, db = rows.host("web"), rows.host("db")
    event = rows.event(web)
    of_web, of_event = _ask(client, host=web), _ask(client, event_id=event)
    of_db = _ask(client, host=db, issue_type="service_restart", parameters={"service": "nginx"})

    def ids(query: str) -> list[int]:
        return [script["id"] for script in client.get(f"{PATH}?{query}").get_json()["items"]]

    assert ids("host=web") == [of_event, of_web]
    assert ids(f"host={db}") == [of_db]
    assert ids(f"event={event}") == [of_event]
    assert ids("issue_type=service_restart") == [of_db]
    assert ids("issue_type=service_restart&host=web") == []
    assert ids(f"sha256={'0' * 64}") == []
    assert client.get(f"{PATH}?sha256={'A' * 64}").get_json(force=True)["field"] == "sha256"
    assert client.get(f"{PATH}?host=nowhere").get_json(force=True)["field"] == "host"
    assert client.get(f"{PATH}?cursor=nonsense").get_json(force=True)["field"] == "cursor"


@pytest.mark.parametrize("script_id", ["1", "0", "-1", "x", "1" * 30, "²"])
@pytest.mark.parametrize(
    ("method", "part"), [("GET", ""), ("GET", "/download"), ("POST", "/cancel"), ("POST", "/retry")]
)
def test_a_script_that_there_is_not_is_not_found(client: FlaskClient, script_id: str, method: str, part: str) -> None:
    assert client.open(f"{PATH}/{script_id}{part}", method=method).status_code == 404


def test_who_asks_again_before_it_is_made_gets_the_same_script(client: FlaskClient, engine: Engine) -> None:
    first = _ask(client, parameters={"pid": 7, "share": None})
    assert _ask(client, parameters={"pid": 7.0}) == first
    assert _ask(client, parameters={"pid": 8}) != first
    render_jobs(engine, TEMPLATES, [first], NOW)
    assert _ask(client, parameters={"pid": 7}) != first


def test_a_script_is_cancelled_and_made_after_all(client: FlaskClient, engine: Engine, redis_url: str) -> None:
    script_id = _ask(client)
    for _ in range(2):
        cancelled = client.post(f"{PATH}/{script_id}/cancel")
        assert (cancelled.status_code, cancelled.get_json()["state"]) == (200, "cancelled")
    assert render_jobs(engine, TEMPLATES, [script_id], NOW) == {}
    assert "it was cancelled" in client.get(f"{PATH}/{script_id}/download").get_json(force=True)["detail"]
    with redis.Redis.from_url(redis_url) as waiting:
        tasks(waiting)
        for _ in range(2):
            again = client.post(f"{PATH}/{script_id}/retry")
            assert (again.status_code, again.get_json()) == (202, {"id": script_id, "state": "queued"})
            assert again.headers["Location"] == f"{PATH}/{script_id}"
        assert tasks(waiting) == [(TASK_RENDER, [script_id])] * 2
        assert not waiting.exists(script_done(script_id))
    assert render_jobs(engine, TEMPLATES, [script_id], NOW) == {script_id: "ready"}


def test_what_is_ready_is_neither_cancelled_nor_made_again(client: FlaskClient, engine: Engine) -> None:
    script_id = _ask(client)
    render_jobs(engine, TEMPLATES, [script_id], NOW)
    for part, words in (("cancel", "cannot be cancelled: it is ready"), ("retry", "cannot be made again: it is ready")):
        answer = client.post(f"{PATH}/{script_id}/{part}")
        assert (answer.status_code, words in answer.get_json(force=True)["detail"]) == (409, True)


def test_a_script_is_not_made_again_beside_one_for_the_same(client: FlaskClient) -> None:
    script_id = _ask(client)
    client.post(f"{PATH}/{script_id}/cancel")
    assert _ask(client) != script_id
    answer = client.post(f"{PATH}/{script_id}/retry")
    assert (answer.status_code, "the same is asked for already" in answer.get_json(force=True)["detail"]) == (409, True)


def test_live_pages_hear_what_a_script_comes_to(client: FlaskClient, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as listener, listener.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(CHANGES)
        heard.get_message(timeout=5)
        script_id = _ask(client)
        client.post(f"{PATH}/{script_id}/cancel")
        client.post(f"{PATH}/{script_id}/retry")
        messages = [json.loads((heard.get_message(timeout=5) or {})["data"]) for _ in range(3)]
    assert messages == [{"scripts": {str(script_id): state}} for state in ("queued", "cancelled", "queued")]


def test_a_script_is_downloaded_as_a_file_that_no_browser_takes_for_a_page(client: FlaskClient, engine: Engine) -> None:
    script_id = _ask(client, parameters={"pid": 7})
    render_jobs(engine, TEMPLATES, [script_id], NOW)
    answer = client.get(f"{PATH}/{script_id}/download")
    shown = client.get(f"{PATH}/{script_id}").get_json()
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.headers["Content-Disposition"] == "attachment; filename=fleetmedic-cpu_high.sh"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert hashlib.sha256(answer.data).hexdigest() == shown["sha256"]
    of_file = client.get(f"{PATH}?sha256={shown['sha256']}").get_json()["items"]
    assert [(one["id"], one["requested_by"]) for one in of_file] == [(script_id, "admin token")]
    assert answer.text.endswith(SCRIPT.splitlines()[-1] + "\n")


def test_a_script_that_is_not_made_cannot_be_downloaded(client: FlaskClient, engine: Engine) -> None:
    script_id = _ask(client)
    answer = client.get(f"{PATH}/{script_id}/download")
    assert (answer.status_code, "not made yet" in answer.get_json(force=True)["detail"]) == (409, True)
    with writing(engine) as connection:
        script_jobs.fail(connection, script_id, "its event tells no mount")
    answer = client.get(f"{PATH}/{script_id}/download")
    assert (answer.status_code, "its event tells no mount" in answer.get_json(force=True)["detail"]) == (409, True)
