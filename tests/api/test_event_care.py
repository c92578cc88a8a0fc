"""What people do about events: acknowledge them, resolve them, write notes on them."""

from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from wire.keys import CHANGES

NOW = 1_800_000_000.0
NOW_TEXT = "2027-01-15T08:00:00.000Z"


def test_an_open_event_is_acknowledged_with_a_note_and_who_was_first_stays(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"))
    shown = client.post(f"/api/v1/events/{event}/acknowledge", json={"note": "on it"}).get_json()
    care = (shown["state"], shown["acknowledged_at"], shown["acknowledged_by"], shown["notes"])
    assert care == ("open", NOW_TEXT, "admin token", 1)
    assert client.get(f"/api/v1/events/{event}").get_json() == shown
    assert client.post(f"/api/v1/events/{event}/acknowledge").get_json() == shown


def test_a_resolved_event_is_not_acknowledged(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), state="resolved", resolved_at=NOW - 1)
    refused = client.post(f"/api/v1/events/{event}/acknowledge", json={"note": "on it"})
    assert (refused.status_code, refused.get_json()["detail"]) == (
        409,
        f"event {event} has resolved: there is nothing to acknowledge",
    )
    assert client.get(f"/api/v1/events/{event}").get_json()["notes"] == 0


def test_an_event_is_resolved_by_hand_once(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"))
    shown = client.post(f"/api/v1/events/{event}/resolve").get_json()
    assert (shown["state"], shown["resolved_at"], shown["resolved_by"]) == ("resolved", NOW_TEXT, "admin token")
    assert client.post(f"/api/v1/events/{event}/resolve").get_json() == shown
    assert client.get("/api/v1/hosts/web").get_json()["open_events"] == 0


def test_an_event_that_resolved_by_itself_is_nobodys_doing(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), state="resolved", resolved_at=NOW - 1)
    assert client.post(f"/api/v1/events/{event}/resolve").get_json()["resolved_by"] is None


def test_notes_are_listed_in_the_order_they_were_written_page_by_page(client: FlaskClient, rows: Any) -> None:
    event, other = rows.event(rows.host("web")), rows.event(rows.host("db"))
    for note in ("one", "two \u202e <b>", "three"):
        written = client.post(f"/api/v1/events/{event}/notes", json={"note": note})
        assert (written.status_code, written.get_json()["note"]) == (201, note)
    first = client.get(f"/api/v1/events/{event}/notes?limit=2").get_json()
    second = client.get(f"/api/v1/events/{event}/notes?limit=2&cursor={first['next']}").get_json()
    notes = [*first["items"], *second["items"]]
    assert [note["note"] for note in notes] == ["one", "two \u202e <b>", "three"]
    assert {(note["written_by"], note["written_at"]) for note in notes} == {("admin token", NOW_TEXT)}
    assert second["next"] is None
    assert client.get(f"/api/v1/events/{other}/notes").get_json() == {"items": [], "next": None}


@pytest.mark.parametrize("note", [None, "", "x" * 2001, "nul \0", 7])
def test_a_note_that_cannot_be_kept_is_refused(client: FlaskClient, rows: Any, note: Any) -> None:
    event = rows.event(rows.host("web"))
    refused = client.post(f"/api/v1/events/{event}/notes", json={"note": note})
    assert (refused.status_code, refused.get_json()["field"]) == (400, "note")


@pytest.mark.parametrize("act", ["acknowledge", "resolve", "notes"])
def test_an_event_that_there_is_not_is_named(client: FlaskClient, act: str) -> None:
    refused = client.post(f"/api/v1/events/99/{act}", json={"note": "where?"})
    assert (refused.status_code, refused.get_json()["detail"]) == (404, "no event has the id '99'")


@pytest.mark.parametrize("act", ["acknowledge", "resolve", "notes"])
def test_live_pages_are_told_of_it(client: FlaskClient, rows: Any, redis_url: str, act: str) -> None:
    host = rows.host("web")
    event = rows.event(host)
    with redis.Redis.from_url(redis_url) as server, server.pubsub() as heard:
        heard.subscribe(CHANGES)
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        client.post(f"/api/v1/events/{event}/{act}", json={"note": "look"})
        assert heard.get_message(timeout=5)["data"] == b'{"events":[%d]}' % host


def test_without_redis_it_is_done_all_the_same(make_client: Any, rows: Any) -> None:
    event = rows.event(rows.host("web"))
    client = make_client(redis_url="redis://127.0.0.1:1/0")
    assert client.post(f"/api/v1/events/{event}/resolve").get_json()["state"] == "resolved"
