"""Text that a host chose: shown, and nothing more."""

import time
from typing import Any

from playwright.sync_api import expect

from tests.dashboard.conftest import Complaints, OpenPage, Served
from wire.snapshot import Details, Filesystem, Process

HOSTILE = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "\"'><svg onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "{{7*7}}${7*7}",
    "safe\u202egpj.exe",
    "\u2066mixed\u2069 \u200fright",
    "red\x1b[31m\x07",
    "two\nlines\ttab",
    "very-long-" * 100,
]


def test_hostile_names_are_text_everywhere(served: Served, new_page: OpenPage) -> None:
    processes = tuple(Process(9000 + n, 1.7e9, text, text, 90.0 - n, 10.0, 1e9, text) for n, text in enumerate(HOSTILE))
    host = served.host(
        details=Details(
            filesystems=tuple(Filesystem(text, text, text, 1e9, 1e9, 99.0) for text in HOSTILE),
            processes_by_cpu=processes,
            os_name=HOSTILE[0],
            platform="linux",
        )
    )
    for number, text in enumerate(HOSTILE):
        evidence: dict[str, Any] = {
            "processes": [{"pid": number, "name": text, "command": text, "cpu_percent": 1.0, "memory_percent": 1.0}]
        }
        evidence["directories"] = [{"path": text, "bytes": 1e9, "growth_bytes": 1e8, "seconds": 600.0}]
        evidence["grown"] = [{"pid": number, "name": text, "memory_bytes": 1e9, "growth_bytes": 1e8, "seconds": 9.0}]
        said = {"reason": text, text: text, "changes": [{"at": text, "kind": text, "text": text}]}
        host.event("disk_full", number, subject=text, evidence=evidence | said, explanation=text)
        host.event("process_memory_high", number, subject=text, state="resolved", resolved_at=time.time())
    page = new_page(host, viewport={"width": 360, "height": 740})
    # Each event by itself, also once the worker has made incidents of them.
    page.get_by_role("group", name="Filter events").get_by_label("State").select_option("open")
    page.get_by_role("region", name="Top processes").get_by_role("button", name="Show all").first.click()
    for summary in page.get_by_text("Evidence", exact=True).all():
        summary.click()
    events = page.get_by_test_id("open-events")
    expect(events.get_by_text("<script>window.pwned=1</script>").first).to_be_visible()
    expect(events.get_by_text("U+202E").first).to_be_visible()
    expect(events.get_by_text("U+001B").first).to_be_visible()
    for steering in ("\u202e", "\u2066", "\u200f", "\x1b"):
        assert steering not in page.content()
    assert page.evaluate("window.pwned") is None
    assert page.locator("#page img, #page script, #page [onload], #page [onerror]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_long_name_is_cut_with_the_whole_at_hand(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    host.event("disk_full", subject="/" + "x" * 500)
    subject = open_page(host).get_by_test_id("open-events").locator("bdi[title]")
    expect(subject).to_contain_text("…")
    assert subject.get_attribute("title") == "/" + "x" * 500


def test_a_hostile_host_name_in_the_address_is_said_not_to_be_there(
    served: Served, new_page: OpenPage, complaints: Complaints
) -> None:
    page = new_page()
    page.goto(served.address("%3Cimg src=x onerror=window.pwned=1%3E"))
    expect(page.get_by_role("alert").first).to_contain_text("<img src=x onerror=window.pwned=1>")
    assert page.evaluate("window.pwned") is None
    page.close()
    # A browser writes each 404 on its console.
    assert all("status of 40" in text for text in complaints)
    complaints.clear()
