from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from api import script_jobs
from api.context import context
from tests.api.remedies import NOW, TEMPLATES, publish, scripts_being_made, tasks
from tests.system.all_in_one import wait_until
from wire.keys import QUEUE_SCRIPTS, script_done
from worker.script_jobs import render_jobs

PATH = "/api/agent/generate-script"


@pytest.fixture(autouse=True)
def catalogue(engine: Engine) -> None:
    publish(engine)


def blocked(client: "redis.Redis") -> list[dict[str, Any]]:
    """Return the clients of Redis that wait for a list to be pushed to."""
    return [one for one in client.client_list() if "b" in one["flags"]]


def test_a_script_comes_back_as_soon_as_it_is_made(
    client: FlaskClient, rows: Any, engine: Engine, redis_url: str
) -> None:
    web = rows.host("web")
    event = rows.event(web, evidence={"processes": [{"pid": 99, "cpu_percent": 98.0, "start_time": 5.0}]})
    with scripts_being_made(engine, redis_url):
        answer = client.post(PATH, json={"issue_type": "cpu_high", "event_id": event, "script_type": "powershell"})
    made = answer.get_json()
    assert answer.status_code == 200
    assert made == client.get(f"/api/v1/scripts/{made['id']}").get_json()
    assert (made["state"], made["host"], made["event_id"], made["issue_type"]) == ("ready", "web", event, "cpu_high")
    assert made["parameters"]["pid"] == 99
    assert "\n$FM_PID = '99'\n" in made["script"]


def test_a_script_whose_announcement_was_lost_is_found_all_the_same(
    client: FlaskClient, engine: Engine, redis_url: str
) -> None:
    with scripts_being_made(engine, redis_url, announced=False):
        answer = client.post(PATH, json={"issue_type": "cpu_high"})
    assert (answer.status_code, answer.get_json()["state"]) == (200, "ready")


def test_a_job_that_fails_says_why(client: FlaskClient, rows: Any, engine: Engine, redis_url: str) -> None:
    event = rows.event(rows.host("web"), "service_down", subject="NO SUCH NAME; reboot")
    with scripts_being_made(engine, redis_url):
        answer = client.post(PATH, json={"issue_type": "service_restart", "event_id": event})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert "service must be a string of at most 20 characters" in answer.get_json(force=True)["detail"]


def test_a_job_that_takes_too_long_is_left_to_be_asked_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_jobs, "_WAIT_SECONDS", 1)
    answer = client.post(PATH, json={"issue_type": "cpu_high"})
    queued = answer.get_json()
    assert (answer.status_code, queued) == (202, {"id": queued["id"], "state": "queued"})
    assert client.get(f"/api/v1/scripts/{queued['id']}").get_json()["state"] == "queued"


def test_all_who_ask_for_the_same_have_it_as_soon_as_it_is_made(
    make_client: Callable[..., FlaskClient], engine: Engine, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever is not told would look too late.
    monkeypatch.setattr(script_jobs, "_LOOK_SECONDS", 1.9)
    clients = [make_client() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool, redis.Redis.from_url(redis_url) as worker:
        answers = [pool.submit(client.post, PATH, json={"issue_type": "cpu_high"}) for client in clients]
        wait_until(lambda: worker.llen(QUEUE_SCRIPTS) == 4 and len(blocked(worker)) == 4)
        (script_id,) = {ids[0] for _, ids in tasks(worker)}
        render_jobs(engine, TEMPLATES, [script_id], NOW)
        worker.rpush(script_done(script_id), 1)
        assert {answer.result().get_json()["id"] for answer in answers} == {script_id}
        assert worker.llen(QUEUE_SCRIPTS) == 0


def test_who_waits_rings_again_for_what_a_dead_worker_left(
    make_client: Callable[..., FlaskClient], engine: Engine, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_jobs, "_LOOK_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as pool, redis.Redis.from_url(redis_url) as worker:
        answer = pool.submit(make_client().post, PATH, json={"issue_type": "cpu_high"})
        wait_until(lambda: worker.rpop(QUEUE_SCRIPTS) is not None)
        wait_until(lambda: worker.llen(QUEUE_SCRIPTS) > 0)
        with scripts_being_made(engine, redis_url):
            assert answer.result().get_json()["state"] == "ready"


def test_who_waits_for_a_script_that_is_cancelled_is_told_so(
    make_client: Callable[..., FlaskClient], redis_url: str
) -> None:
    with ThreadPoolExecutor(1) as pool, redis.Redis.from_url(redis_url) as worker:
        waiting = pool.submit(make_client().post, PATH, json={"issue_type": "cpu_high"})
        wait_until(lambda: len(blocked(worker)) == 1)
        ((_, (script_id,)),) = tasks(worker)
        make_client().post(f"/api/v1/scripts/{script_id}/cancel")
        answer = waiting.result()
    assert (answer.status_code, "was cancelled" in answer.get_json(force=True)["detail"]) == (409, True)


def test_an_end_from_before_it_was_tried_again_keeps_nobody_busy(
    client: FlaskClient, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_jobs, "_WAIT_SECONDS", 1)
    looks = []
    find = script_jobs.find_script
    monkeypatch.setattr(script_jobs, "find_script", lambda script_id: looks.append(script_id) or find(script_id))
    with redis.Redis.from_url(redis_url) as worker:
        worker.rpush(script_done(1), 1)
    assert client.post(PATH, json={"issue_type": "cpu_high"}).get_json() == {"id": 1, "state": "queued"}
    assert len(looks) <= 3


def test_where_too_many_wait_already_nobody_is_kept_waiting(client: FlaskClient, redis_url: str) -> None:
    with client.application.app_context():
        waiting = context().waiting
    for _ in range(script_jobs.MAX_WAITING):
        assert waiting.acquire(blocking=False)
    answer = client.post(PATH, json={"issue_type": "cpu_high"})
    assert (answer.status_code, answer.get_json()["state"]) == (202, "queued")
    with redis.Redis.from_url(redis_url) as waits:
        assert len(tasks(waits)) == 1


def test_who_waited_makes_room_for_the_next(client: FlaskClient, engine: Engine, redis_url: str) -> None:
    with scripts_being_made(engine, redis_url):
        states = [
            client.post(PATH, json={"issue_type": "cpu_high"}).get_json()["state"]
            for _ in range(script_jobs.MAX_WAITING + 1)
        ]
    assert set(states) == {"ready"}


def test_a_key_that_is_not_what_it_should_be_costs_nobody_the_answer(client: FlaskClient, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as wrong:
        wrong.set(script_done(1), "no list")
    answer = client.post(PATH, json={"issue_type": "cpu_high"})
    assert (answer.status_code, answer.get_json()) == (202, {"id": 1, "state": "queued"})


@pytest.mark.parametrize(
    ("body", "field"), [({"issue_type": "gout"}, "issue_type"), ({"parameters": {"pid": 1}}, "parameters.pid")]
)
def test_what_cannot_be_made_is_refused_by_name(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    answer = client.post(PATH, json={"issue_type": "cpu_high"} | body)
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (400, field)


def test_while_redis_is_down_the_script_is_stored_and_the_answer_says_so(
    make_client: Callable[..., FlaskClient],
) -> None:
    answer = make_client(redis_url="redis://127.0.0.1:1/0").post(PATH, json={"issue_type": "cpu_high"})
    assert (answer.status_code, answer.get_json(force=True)["state"]) == (503, "queued")
