from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from store.engine import writing
from store.ledger import Ledger, write_ledgers
from store.records import write_gaps
from store.schema import host_state
from tests.api.conftest import NOW


@pytest.fixture
def web(engine: Engine, rows: Any) -> int:
    """A host at number 50 of its second incarnation, of which it has sent up to 55."""
    host = rows.host("web")
    rows.snapshot(host, taken_at=NOW - 20)
    ledger = Ledger(100, 1, 10, 3, 2, 30, 20, 5, ahead_incarnation=2, ahead_sequence=55, ahead_at=NOW - 5)
    gap = {"host_id": host, "incarnation": 2, "last_sequence": 12, "reason": "<b>full</b>", "received_at": NOW - 60}
    with writing(engine) as connection:
        position = {"incarnation": 2, "sequence": 50}
        connection.execute(update(host_state).where(host_state.c.host_id == host).values(position))
        write_ledgers(connection, {host: ledger})
        write_gaps(connection, [gap | {"first_sequence": 3, "first_taken_at": NOW - 90, "last_taken_at": NOW - 80}])
        ended = {"incarnation": 1, "first_sequence": 101, "last_sequence": 103, "declared": False}
        write_gaps(connection, [gap | ended | {"received_at": NOW - 600}])
    return host


def test_a_host_shows_what_became_of_its_snapshots(client: FlaskClient, web: int) -> None:
    ledger = client.get(f"/api/v1/hosts/{web}").get_json()["ledger"]
    found = ledger.pop("gaps")
    assert ledger == {
        "sent": 158,
        "received": 140,
        "committed": 139,
        "evaluated": 137,
        "dead_lettered": 1,
        "dropped": 10,
        "lost": 3,
        "outstanding": 5,
        "resent": 30,
        "discarded": 20,
        "throttled": 5,
    }
    assert [(gap["state"], gap["first_sequence"], gap["last_sequence"], gap["at_least"]) for gap in found] == [
        ("open", 51, 55, False),
        ("declared", 3, 12, False),
        ("ended", 101, 103, True),
    ]
    assert found[1] == {
        "state": "declared",
        "incarnation": 2,
        "first_sequence": 3,
        "last_sequence": 12,
        "count": 10,
        "at_least": False,
        "from": "2027-01-15T07:58:30.000Z",
        "to": "2027-01-15T07:58:40.000Z",
        "reason": "<b>full</b>",
        "received_at": "2027-01-15T07:59:00.000Z",
    }
    assert (found[0]["from"], found[0]["to"]) == ("2027-01-15T07:59:40.000Z", "2027-01-15T07:59:55.000Z")


def test_the_pages_of_gaps_hold_each_once(client: FlaskClient, web: int) -> None:
    address, cursor, states = f"/api/v1/hosts/{web}/gaps?limit=1", "", []
    while cursor is not None:
        page = client.get(address + cursor).get_json()
        states.append([gap["state"] for gap in page["items"]])
        cursor = None if page["next"] is None else f"&cursor={page['next']}"
    assert states == [["open", "declared"], ["ended"]]


def test_a_host_that_was_never_seen_has_a_ledger_of_zeros(client: FlaskClient, rows: Any) -> None:
    ledger = client.get(f"/api/v1/hosts/{rows.host('new')}").get_json()["ledger"]
    assert (ledger.pop("gaps"), set(ledger.values())) == ([], {0})
