from typing import Any

import pytest
from flask.testing import FlaskClient

NOW = 1_800_000_000.0
PATH = "/api/v1/maintenance"


def announce(client: FlaskClient, **body: Any) -> Any:
    response = client.post(PATH, json={"reason": "a new disk"} | body)
    assert response.status_code == 201, response.get_json()
    return response.get_json()


def ids(client: FlaskClient, query: str = "") -> list[int]:
    return [window["id"] for window in client.get(f"{PATH}?{query}").get_json()["items"]]


def test_a_window_is_shown_as_it_was_announced(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    window = announce(client, host="web", hours=2, by="Ada")
    assert window == {
        "id": window["id"],
        "stage": "active",
        "host": "web",
        "host_id": web,
        "tag": None,
        "reason": "a new disk",
        "starts_at": "2027-01-15T08:00:00.000Z",
        "ends_at": "2027-01-15T10:00:00.000Z",
        "created_at": "2027-01-15T08:00:00.000Z",
        "created_by": "Ada",
        "ended_by": None,
        "muted_events": 0,
    }
    assert client.get(PATH).get_json() == {"items": [window], "next": None}


def test_it_may_start_later_last_until_a_moment_or_for_ever(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    later = announce(client, tag="web", starts_at=NOW + 60, until="2027-01-15T09:01:00Z")
    forever = announce(client, host="*", forever=True)
    assert (later["stage"], later["tag"], later["ends_at"]) == ("upcoming", "web", "2027-01-15T09:01:00.000Z")
    assert (forever["stage"], forever["host"], forever["tag"], forever["ends_at"]) == ("active", None, None, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"host": "web", "hours": 1, "reason": " "}, "reason"),
        ({"hours": 1}, "host"),
        ({"host": "web", "tag": "web", "hours": 1}, "host"),
        ({"host": "nobody", "hours": 1}, "host"),
        ({"host": "web"}, "hours"),
        ({"host": "web", "hours": 1, "forever": True}, "hours"),
        ({"host": "web", "hours": 0.5}, "hours"),
        ({"host": "web", "until": NOW + 3599}, "until"),
        ({"host": "web", "starts_at": NOW - 7200, "until": NOW - 1}, "until"),
        ({"host": "web", "starts_at": 253_402_300_000, "hours": 2}, "hours"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_field(
    client: FlaskClient, rows: Any, body: dict[str, Any], field: str
) -> None:
    rows.host("web")
    response = client.post(PATH, json={"reason": "a new disk"} | body)
    assert (response.status_code, response.get_json()["field"]) == (400, field)


def test_windows_are_listed_by_stage_and_by_the_hosts_that_are_in_them(client: FlaskClient, rows: Any) -> None:
    rows.host("web", tags=["prod"])
    rows.host("db")
    of_web = announce(client, host="web", hours=1)["id"]
    of_tag = announce(client, tag="prod", hours=1)["id"]
    of_db = announce(client, host="db", starts_at=NOW + 60, hours=1)["id"]
    over = announce(client, host="*", forever=True)["id"]
    client.post(f"{PATH}/{over}/end", json={})
    assert sorted(ids(client, "stage=active")) == [of_web, of_tag]
    assert ids(client, "stage=upcoming") == [of_db]
    assert ids(client, "stage=past") == [over]
    assert sorted(ids(client, "host=web")) == [of_web, of_tag, over]
    page = client.get(f"{PATH}?limit=3").get_json()
    rest = client.get(f"{PATH}?limit=3&cursor={page['next']}").get_json()
    assert sorted(window["id"] for window in page["items"] + rest["items"]) == [of_web, of_tag, of_db, over]


def test_a_window_is_ended_once_with_the_name_of_who_did(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    window = announce(client, host="web", forever=True)["id"]
    ended = client.post(f"{PATH}/{window}/end", json={"by": "Ada"}).get_json()
    assert (ended["stage"], ended["ends_at"], ended["ended_by"]) == ("past", "2027-01-15T08:00:00.000Z", "Ada")
    assert client.post(f"{PATH}/{window}/end", json={}).status_code == 409
    assert client.post(f"{PATH}/999/end", json={}).status_code == 404


def test_a_host_shows_the_window_that_it_is_in_the_one_that_ends_last(client: FlaskClient, rows: Any) -> None:
    rows.host("web", tags=["prod"])
    rows.host("db")
    announce(client, host="web", hours=1)
    longest = announce(client, tag="prod", forever=True, reason="it moves")["id"]
    announce(client, host="db", starts_at=NOW + 60, hours=1)
    shown = {host["name"]: host["maintenance"] for host in client.get("/api/v1/hosts").get_json()["items"]}
    assert shown == {"web": {"id": longest, "reason": "it moves", "ends_at": None}, "db": None}
    assert client.get("/api/v1/hosts/web").get_json()["maintenance"]["id"] == longest


def test_what_a_window_muted_can_be_seen_afterwards(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    window = announce(client, host="web", hours=1)["id"]
    event = rows.event(web, muted_by="maintenance", muted_by_id=window)
    rows.event(web, "disk_full")
    assert client.get(PATH).get_json()["items"][0]["muted_events"] == 1
    assert [one["id"] for one in client.get(f"/api/v1/events?maintenance={window}").get_json()["items"]] == [event]
