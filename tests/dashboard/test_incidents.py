"""Incidents and maintenance on the page; the worker beside it groups and mutes."""

import time

from playwright.sync_api import Page, expect

from tests.dashboard.conftest import OpenPage, Served

# An announcement may be lost: the page asks by itself every 30 s.
SOON_MS = 45_000


def announce_maintenance(page: Page, reason: str) -> None:
    page.get_by_role("button", name="Maintenance…").click()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Announce").click()
    expect(page.get_by_role("dialog").get_by_role("listitem").filter(has_text=reason)).to_contain_text("active")
    page.get_by_role("button", name="Close").click()


def test_what_opens_on_many_hosts_is_one_card_that_opens_to_its_events(served: Served, open_page: OpenPage) -> None:
    for _ in range(5):
        served.host().event("host_cloned", 0.5)
    page = open_page()
    incident = page.get_by_test_id("incident").filter(has_text="Two hosts use one key on 5 hosts")
    expect(incident).to_contain_text("5 open", timeout=SOON_MS)
    incident.get_by_text("Events", exact=True).click()
    expect(incident.get_by_role("listitem")).to_have_count(5)


def test_what_opens_together_on_a_host_is_one_card_that_names_its_cause(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    host.event("host_flooding", 1.5, severity="high")
    host.event("disk_forecast", 1, subject="/var", severity="critical")
    page = open_page(host)
    incident = page.get_by_test_id("incident")
    expect(incident).to_contain_text("Filesystem will be full and 1 more", timeout=SOON_MS)
    page.get_by_label("Type").select_option("host_flooding")
    expect(page.get_by_test_id("open-events").get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_test_id("incident")).to_have_count(0)
    page.get_by_role("button", name="Show all").click()


def test_maintenance_is_announced_on_the_page_marks_what_opens_in_it_and_is_ended(
    served: Served, open_page: OpenPage
) -> None:
    host = served.host()
    page = open_page(host)
    announce_maintenance(page, "a new disk <b>")
    expect(page.get_by_label(f"Host {host.name}").get_by_text("Maintenance", exact=True)).to_be_visible()
    expect(page.get_by_text("until")).to_contain_text("a new disk <b>")
    served.rows.event(host.id, "cpu_high", time.time())
    events = page.get_by_test_id("open-events")
    expect(events.get_by_role("listitem")).to_contain_text("muted: maintenance", timeout=SOON_MS)
    page.get_by_role("button", name="Maintenance…").click()
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_contain_text("1 muted")
    page.get_by_role("button", name="End now").click()
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_contain_text("past")
    page.get_by_role("button", name="Close").click()
    expect(events).not_to_contain_text("muted", timeout=SOON_MS)
