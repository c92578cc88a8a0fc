"""What the page shows of snapshots that are missing."""

import time

from playwright.sync_api import expect
from sqlalchemy import update

from store.engine import writing
from store.ledger import Ledger, write_ledgers
from store.records import write_gaps
from store.schema import host_state
from tests.dashboard.conftest import OpenPage, Served


def test_a_host_shows_how_much_came_and_each_gap_with_its_reason(served: Served, new_page: OpenPage) -> None:
    host = served.host()
    now = time.time()
    gap = {
        "host_id": host.id,
        "incarnation": 1,
        "first_sequence": 3,
        "last_sequence": 42,
        "reason": "<img src=x onerror=window.pwned=1>",
        "first_taken_at": now - 900,
        "last_taken_at": None,
        "received_at": now,
    }
    with writing(served.engine) as connection:
        position = {"incarnation": 1, "sequence": 2500}
        connection.execute(update(host_state).where(host_state.c.host_id == host.id).values(position))
        write_ledgers(connection, {host.id: Ledger(dropped=40)})
        write_gaps(connection, [gap])
    page = new_page(host, viewport={"width": 360, "height": 740})
    delivery = page.get_by_role("region", name="Delivery")
    expect(delivery).to_contain_text("Sent2,500")
    expect(delivery).to_contain_text("Stored2,460")
    row = delivery.get_by_role("row").nth(1)
    expect(row).to_contain_text("dropped40")
    expect(row).to_contain_text("unknown<img src=x onerror=window.pwned=1>")
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_host_that_lacks_nothing_says_so(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host())
    expect(page.get_by_text("No snapshot is missing.")).to_be_visible()
