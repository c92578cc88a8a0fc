"""What the page shows of events, and start, stop and clear."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from playwright.sync_api import Locator, Page, expect

from store.engine import reading
from store.schema import hosts
from tests.dashboard.conftest import TOKEN, Complaints, Host, OpenPage, Served
from tests.system.all_in_one import wait_until


def open_events(page: Page) -> Locator:
    return page.get_by_test_id("open-events").get_by_role("listitem")


@contextmanager
def every_stream_taken(served: Served) -> Iterator[None]:
    """Hold all streams that the server has."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with ExitStack() as held:
        while True:
            request = urllib.request.Request(f"{served.url}/api/v1/stream", headers=headers)
            try:
                held.enter_context(urllib.request.urlopen(request, timeout=10))
            except urllib.error.HTTPError as refusal:
                if refusal.code != 503:
                    raise
                break
        yield


def host_with_events(served: Served) -> Host:
    host = served.host()
    evidence = {
        "processes": [BURNER],
        "changes": [{"at": time.time() - 400, "kind": "boot", "text": "the host booted"}],
    }
    explained = {"evidence": evidence, "explanation": "CPU at 99.1 % since 10:02 UTC."}
    host.event("cpu_high", 5, severity="critical", value=97.3, peak_value=99.1, **explained)
    host.event("disk_full", 9, subject="/var", severity="high", value=88.0)
    over = {"state": "resolved", "resolved_at": time.time() - 60 * 25, "explanation": "CPU leapt to 93 % at 09:40 UTC."}
    host.event("cpu_spike", 30, severity="medium", **over)
    return host


BURNER = {
    "pid": 4242,
    "start_time": 1.7e9,
    "name": "burner",
    "user": "ada",
    "cpu_percent": 187.4,
    "memory_percent": 2.1,
    "memory_bytes": 1e8,
    "command": "python3 burner.py",
}


def test_open_events_come_with_severity_age_value_limit_and_evidence(served: Served, open_page: OpenPage) -> None:
    page = open_page(host_with_events(served))
    events = open_events(page)
    expect(events).to_have_count(2)
    worst = events.first
    for text in (
        "critical",
        "cpu_high",
        "CPU at 99.1 % since 10:02 UTC.",
        "5\u00a0min ago",
        "97.3\u00a0%",
        "limit 85.0\u00a0%",
        "peak 99.1\u00a0%",
    ):
        expect(worst).to_contain_text(text)
    worst.get_by_text("Evidence").click()
    expect(worst.get_by_role("row", name="burner 4242")).to_contain_text("187")
    expect(worst.get_by_text("the host booted")).to_be_visible()
    expect(page.get_by_test_id("timeline")).to_contain_text("CPU leapt to 93 % at 09:40 UTC.")


def test_evidence_shows_what_grew_and_by_how_much(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    logs = {"path": "/var/log", "bytes": 5 * 2.0**30, "growth_bytes": 3 * 2.0**30, "seconds": 600.0}
    cache = {"path": "/var/cache", "bytes": 9 * 2.0**30, "growth_bytes": -1.5 * 2.0**20, "seconds": 600.0}
    unknown = {"path": "/var/lib", "bytes": 1024.0, "growth_bytes": None, "seconds": None}
    leaker = {"pid": 4713, "name": "java", "memory_bytes": 2.0**31, "growth_bytes": 2.0**30, "seconds": 90.0}
    host.event("disk_full", 9, subject="/var", evidence={"directories": [logs, cache, unknown], "grown": [leaker]})
    event = open_events(open_page(host)).filter(has_text="/var")
    event.get_by_text("Evidence", exact=True).click()
    rows = [row.inner_text().replace("\xa0", " ").split("\t") for row in event.locator("tbody tr").all()]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["/var/log", "5.0 GiB", "+3.0 GiB in 10 min"],
        ["/var/cache", "9.0 GiB", "−1.5 MiB in 10 min"],
        ["/var/lib", "1.0 KiB", "–"],
        ["java 4713", "2.0 GiB", "+1.0 GiB in 1 min"],
    ]


def test_the_filter_leaves_what_is_asked_for(served: Served, open_page: OpenPage) -> None:
    page = open_page(host_with_events(served))
    timeline = page.get_by_test_id("timeline").get_by_role("listitem")
    expect(timeline).to_have_count(3)
    page.get_by_label("Type").select_option("disk_full")
    expect(open_events(page)).to_have_count(1)
    expect(timeline).to_have_count(1)
    expect(timeline).to_contain_text("/var")
    page.get_by_label("Type").select_option("")
    page.get_by_label("Severity").select_option("critical")
    expect(timeline).to_have_count(1)
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("State").select_option("resolved")
    expect(timeline).to_have_count(1)
    expect(timeline).to_contain_text("resolved after")


def test_an_event_is_acknowledged_with_a_note_that_is_shown_as_text(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    host.event("memory_high")
    event = open_events(open_page(host)).first
    event.get_by_role("button", name="Acknowledge: Memory is short").click()
    event.get_by_label("Note (optional)").fill("looking <b>into</b> it")
    event.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(event.get_by_text("acknowledged", exact=True)).to_have_attribute("title", re.compile("by browser session"))
    expect(event.get_by_role("button", name="Acknowledge: Memory is short")).to_have_count(0)
    event.get_by_text("1 note").click()
    expect(event).to_contain_text("looking <b>into</b> it")


def test_an_event_is_resolved_by_hand(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    host.event("memory_high")
    page = open_page(host)
    event = open_events(page).first
    event.get_by_role("button", name="Resolve: Memory is short").click()
    event.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_text("No open events.")).to_be_visible()
    expect(page.get_by_test_id("timeline")).to_contain_text("resolved by hand")


def test_an_event_that_flaps_says_so_and_how_often_it_opened(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    host.event("memory_high", 20, flapping=True, openings=3, reopened_at=time.time() - 60 * 5)
    event = open_events(open_page(host)).first
    for text in ("flapping", "opened 3 times", "opened again 5\u00a0min ago"):
        expect(event).to_contain_text(text)


def test_a_new_event_shows_without_a_reload_and_is_announced(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    page = open_page(host)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("No open events.")).to_be_visible()
    page.evaluate("window.notReloaded = true")
    host.event("memory_high", 0.1)
    served.announce(f'{{"events": [{host.id}]}}')
    expect(open_events(page)).to_contain_text("memory_high")
    expect(page.locator("[aria-live=polite]")).to_contain_text("New event. high: Memory is short")
    assert page.evaluate("window.notReloaded")


def test_figures_follow_a_snapshot_without_a_reload(served: Served, open_page: OpenPage) -> None:
    host = served.host(cpu_percent=12.0)
    page = open_page(host)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    now = time.time() + 1
    served.rows.snapshot(host.id, now, sequence=99, cpu_percent=77.7)
    served.announce(f'{{"snapshots": [{host.id}]}}')
    expect(page.get_by_role("region", name="Metrics of the last snapshot")).to_contain_text("77.7")


def test_without_a_stream_the_page_asks_every_30_seconds(
    served: Served, new_page: OpenPage, complaints: Complaints
) -> None:
    with every_stream_taken(served):
        host = served.host()
        page = new_page(host)
        page.clock.install()
        page.reload()
        expect(page.get_by_text("Every 30 s", exact=True)).to_be_visible()
        expect(page.get_by_text("No open events.")).to_be_visible()
        host.event("memory_high", 0.1)
        page.clock.run_for(31_000)
        expect(open_events(page)).to_contain_text("memory_high")
        page.close()
    # A browser writes the 503 on its console.
    assert all("503" in text for text in complaints)
    complaints.clear()


def test_a_hidden_tab_gives_its_stream_back_and_catches_up_when_it_is_seen(served: Served, new_page: OpenPage) -> None:
    host = served.host()
    page = new_page(host)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    streams = served.open_streams()
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    wait_until(lambda: served.open_streams() < streams)
    host.event("memory_high", 0.1)
    page.evaluate("""() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(open_events(page)).to_contain_text("memory_high")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_stop_and_start_change_what_the_server_says(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    page = open_page(host)
    for button, paused, state in (("Stop", True, "Stopped"), ("Start", False, "Monitoring")):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_text(state, exact=True)).to_be_visible()
        with reading(served.engine) as connection:
            assert (
                connection.scalar(hosts.select().with_only_columns(hosts.c.paused).where(hosts.c.id == host.id))
                is paused
            )


def test_a_server_that_is_away_is_said_to_be_and_what_was_there_stays(
    served: Served, new_page: OpenPage, complaints: Complaints
) -> None:
    page = new_page(host_with_events(served))
    expect(open_events(page)).to_have_count(2)
    page.context.set_offline(True)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("The server does not answer")
    expect(page.get_by_text("No answer", exact=True)).to_be_visible()
    expect(page.get_by_text("Monitoring", exact=True)).to_be_visible()
    expect(open_events(page)).to_have_count(2)
    # Until it is closed it goes on asking, and complaining.
    page.close()
    complaints.clear()


def test_clear_hides_resolved_events_and_says_how_many(served: Served, open_page: OpenPage) -> None:
    page = open_page(host_with_events(served))
    timeline = page.get_by_test_id("timeline")
    expect(timeline.get_by_role("listitem")).to_have_count(3)
    timeline.get_by_role("button", name="Clear resolved").click()
    expect(timeline).to_contain_text("1 cleared")
    expect(timeline.get_by_role("listitem")).to_have_count(2)
    expect(open_events(page)).to_have_count(2)
    expect(timeline.get_by_role("button", name="Clear resolved")).to_be_disabled()


def test_all_hosts_are_listed_with_their_health_and_lead_to_their_pages(served: Served, open_page: OpenPage) -> None:
    host = host_with_events(served)
    page = open_page()
    row = page.get_by_role("region", name="Table of hosts").get_by_role("row", name=host.name)
    expect(row).to_contain_text("Critical")
    row.get_by_role("button", name=host.name).click()
    expect(page.get_by_role("heading", name=host.name)).to_be_visible()
