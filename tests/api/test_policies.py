import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from api import policies as routes
from store import policies
from store.engine import reading
from tests.api.conftest import NOW
from wire import keys
from wire.preview import Amount, HostAmounts, Preview, Sum, encode_preview

PATH = "/api/v1/policies"
CPU = {"scope": "fleet", "type": "cpu_high", "limit": 70}


def test_a_policy_is_made_shown_and_listed(client: FlaskClient, engine: Engine) -> None:
    made = client.post(PATH, json=CPU)
    document = made.get_json()
    assert (made.status_code, made.headers["Location"]) == (201, f"{PATH}/{document['id']}")
    assert document == {
        "id": document["id"],
        "scope": "fleet",
        "tag": None,
        "host": None,
        "host_id": None,
        "type": "cpu_high",
        "subject": "",
        "limit": 70.0,
        "opens_after_seconds": None,
        "clear_margin": None,
        "rise": None,
        "hold_seconds": None,
        "enabled": None,
        "severity": None,
        "removed": False,
        "version": 1,
        "changed_at": "2027-01-15T08:00:00.000Z",
        "changed_by": "admin token",
    }
    assert client.get(f"{PATH}/{document['id']}").get_json() == document
    assert client.get(PATH).get_json() == {"items": [document], "next": None}
    with reading(engine) as connection:
        [governing] = policies.in_force(connection)
    assert governing.settings.limit == 70


def test_policies_are_listed_by_page_scope_and_type(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    bodies = [
        CPU,
        {"scope": "tag", "tag": "eu", "type": "disk_full", "subject": "/srv*", "enabled": False},
        {"scope": "host", "host": "web", "type": "cpu_high", "severity": "low"},
    ]
    ids = [client.post(PATH, json=body).get_json()["id"] for body in bodies]
    first = client.get(PATH, query_string={"limit": 2}).get_json()
    second = client.get(PATH, query_string={"limit": 2, "cursor": first["next"]}).get_json()
    assert [[one["id"] for one in page["items"]] for page in (first, second)] == [ids[:2], ids[2:]]
    assert [one["tag"] for one in client.get(PATH, query_string={"scope": "tag"}).get_json()["items"]] == ["eu"]
    of_type = client.get(PATH, query_string={"type": "cpu_high"}).get_json()["items"]
    assert [one["host"] for one in of_type] == [None, "web"]


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"limit": 0.5}, "limit", "limit must be from 1 to 99 percent"),
        ({"limit": 100}, "limit", "limit must be from 1 to 99 percent"),
        ({"limit": "much"}, "limit", "limit does not fit"),
        ({"opens_after_seconds": -1}, "opens_after_seconds", "must be from 0 to 86400 seconds"),
        ({"rise": 20}, "rise", "rise cannot be set for cpu_high: it has limit, opens_after_seconds, clear_margin"),
        ({"severity": "worst"}, "severity", "severity does not fit"),
        ({"limit": None}, "enabled", "this policy sets nothing"),
        ({"type": "cpu_low"}, "type", "type must be one of cpu_high, cpu_spike"),
        ({"subject": "/"}, "subject", "subject cannot be given: cpu_high is of the host itself"),
        ({"scope": "tag"}, "tag", "tag is needed with the scope tag"),
        ({"tag": "eu"}, "tag", "tag does not go with the scope fleet"),
        ({"scope": "host", "host": "nobody"}, "host", "no host has the id or name 'nobody'"),
        ({"scope": "galaxy"}, "scope", "scope does not fit"),
        ({"limits": 5}, "limits", "limits is not known here: there are clear_margin, "),
        ({"scope": "tag", "tag": "a\x00b"}, "tag", "tag does not fit"),
    ],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/preview"])
def test_what_cannot_be_is_refused_with_the_field_and_its_bounds(
    client: FlaskClient, path: str, change: dict[str, Any], field: str, said: str
) -> None:
    if path.endswith("preview") and change == {"limit": None}:
        pytest.skip("such a preview is one of the policy's removal")
    answer = client.post(path, json=CPU | change)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    problem = answer.get_json(force=True)
    assert problem["field"] == field
    assert said in problem["detail"]


def test_each_change_is_a_version_and_old_ones_can_be_looked_at(
    make_client: Callable[..., FlaskClient],
) -> None:
    clock = [NOW]
    client = make_client(now=lambda: clock[0])
    path = f"{PATH}/{client.post(PATH, json=CPU).get_json()['id']}"
    clock[0] += 60
    changed = client.put(path, json={"limit": 60, "clear_margin": 2, "version": 1}).get_json()
    assert (changed["version"], changed["limit"], changed["clear_margin"]) == (2, 60, 2)
    clock[0] += 60
    assert client.delete(path).get_json()["removed"] is True
    assert client.get(path).status_code == 404
    assert client.get(PATH).get_json()["items"] == []
    clock[0] += 60
    again = client.post(PATH, json=CPU | {"limit": 80}).get_json()
    assert (f"{PATH}/{again['id']}", again["version"]) == (path, 4)
    versions = client.get(f"{path}/versions").get_json()["items"]
    assert [(one["version"], one["limit"], one["removed"]) for one in versions] == [
        (4, 80, False),
        (3, None, True),
        (2, 60, False),
        (1, 70, False),
    ]
    assert [one["changed_at"][14:19] for one in versions] == ["03:00", "02:00", "01:00", "00:00"]
    assert client.get(f"{path}/versions/2").get_json() == versions[2]
    first = client.get(f"{path}/versions", query_string={"limit": 3}).get_json()
    rest = client.get(f"{path}/versions", query_string={"limit": 3, "cursor": first["next"]}).get_json()
    assert first["items"] + rest["items"] == versions


@pytest.mark.parametrize("version", ["0", "3", "x", "99999999999999999999"])
def test_a_version_that_there_is_not_is_not_found(client: FlaskClient, version: str) -> None:
    made = client.post(PATH, json=CPU).get_json()
    assert client.get(f"{PATH}/{made['id']}/versions/{version}").status_code == 404


def test_a_second_policy_of_the_same_is_refused_with_the_first_ones_id(client: FlaskClient) -> None:
    made = client.post(PATH, json=CPU).get_json()
    answer = client.post(PATH, json=CPU | {"limit": 60})
    assert (answer.status_code, answer.get_json(force=True)["id"]) == (409, made["id"])


def test_who_changes_an_older_version_is_told(client: FlaskClient) -> None:
    path = f"{PATH}/{client.post(PATH, json=CPU).get_json()['id']}"
    client.put(path, json={"limit": 60, "version": 1})
    answer = client.put(path, json={"limit": 50, "version": 1})
    assert (answer.status_code, answer.get_json(force=True)["version"]) == (409, 2)
    assert client.get(path).get_json()["limit"] == 60


def test_the_types_are_listed_with_what_can_be_set_of_them(client: FlaskClient) -> None:
    types = {one["type"]: one for one in client.get(f"{PATH}/types").get_json()["items"]}
    assert types["disk_full"]["subject"] == "mount"
    assert types["cpu_spike"]["numbers"]["rise"] == {"default": 20, "minimum": 1, "maximum": 99, "unit": "points"}


@contextmanager
def worker_that_answers(redis_url: str, preview: Preview) -> Iterator[list[Any]]:
    """Take one task from the queue and answer it, as a worker would; yield what it was asked."""
    asked: list[Any] = []

    def answer() -> None:
        with redis.Redis.from_url(redis_url) as client:
            _, message = client.blpop([keys.QUEUE_SCRIPTS], timeout=10)
            envelope = msgspec.json.decode(message)
            arguments, *_ = msgspec.json.decode(base64.b64decode(envelope["body"]))
            asked.extend(arguments)
            client.rpush(keys.preview_done(arguments[0]), encode_preview(preview))

    thread = threading.Thread(target=answer)
    thread.start()
    yield asked
    thread.join()


def test_a_preview_is_what_a_worker_makes_of_the_history(client: FlaskClient, rows: Any, redis_url: str) -> None:
    web = rows.host("web")
    amounts = HostAmounts(web, "web", Amount(3, 600), Amount(1, 60), Amount(1, 61))
    made = Preview(NOW - 3600, NOW, 1, 300, ("averages",), Sum(3, 600, 1), Sum(1, 60, 1), Sum(1, 61, 1), (amounts,))
    with worker_that_answers(redis_url, made) as asked:
        document = client.post(f"{PATH}/preview", json=CPU | {"hours": 1}).get_json()
    assert asked[1:] == [
        {"id": 0, "target": ["fleet", "", None, "cpu_high", ""], "settings": {"limit": 70.0}},
        3600.0,
    ]
    assert (document["from"], document["to"]) == ("2027-01-15T07:00:00.000Z", "2027-01-15T08:00:00.000Z")
    assert document["proposed"] == {"events": 3, "open_seconds": 600, "hosts": 1}
    assert document["by_host"][0]["present"] == {"events": 1, "open_seconds": 60}
    assert client.get(PATH).get_json()["items"] == []


def test_a_preview_that_no_worker_makes_is_given_up(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_WAIT_SECONDS", 1)
    answer = client.post(f"{PATH}/preview", json=CPU)
    assert answer.status_code == 503
    assert "no worker made the preview" in answer.get_json(force=True)["detail"]
