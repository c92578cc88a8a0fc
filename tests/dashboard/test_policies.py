import re

from playwright.sync_api import expect

from store import policies
from store.engine import reading
from tests.dashboard.conftest import Complaints, OpenPage, Served

HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_policy_is_previewed_saved_changed_and_removed(
    open_page: OpenPage, served: Served, complaints: Complaints
) -> None:
    host = served.host(hours=0.2, cpu_percent=60.0)
    page = open_page(host)
    page.get_by_role("link", name="Policies").click()
    page.get_by_role("button", name="New policy").click()
    page.get_by_label("For", exact=True).select_option("host")
    page.get_by_label("Host", exact=True).last.fill(host.name)
    page.get_by_label("Limit", exact=True).fill("50")
    page.get_by_label("Look back").select_option("24")
    page.get_by_role("button", name="Preview").click()
    preview = page.get_by_role("region", name="Preview").last
    expect(preview.get_by_role("row", name=re.compile("^Events"))).to_have_text(re.compile(r"Events\s*1\s*0\s*0"))
    expect(page.get_by_text("Every snapshot was replayed.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("region", name="Policies: Hosts").get_by_role("row", name=re.compile(host.name))
    expect(row).to_contain_text("limit 50 %")

    row.get_by_role("button", name="CPU stays high").click()
    page.get_by_label("Limit", exact=True).fill("1000")
    page.get_by_label("Limit", exact=True).evaluate("field => { field.max = '' }")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("limit must be from 1 to 99 percent")
    # The browser's own word on the answer.
    assert [complaint for complaint in complaints if "400" not in complaint] == []
    complaints.clear()
    page.get_by_label("Limit", exact=True).fill("40")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("limit 40 %")

    row.get_by_role("button", name="CPU stays high").click()
    versions = page.get_by_role("region", name="Versions")
    expect(versions.get_by_role("listitem")).to_have_count(2)
    expect(versions).to_contain_text("browser session")
    page.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    with reading(served.engine) as connection:
        assert [one for one in policies.in_force(connection) if one.target.host_id == host.id] == []


def test_what_a_person_wrote_into_a_policy_is_text(open_page: OpenPage, served: Served) -> None:
    page = open_page(served.host())
    page.get_by_role("link", name="Policies").click()
    page.get_by_role("button", name="New policy").click()
    page.get_by_label("For", exact=True).select_option("tag")
    page.get_by_label("Tag", exact=True).fill(HOSTILE)
    page.get_by_label("Event", exact=True).select_option("disk_full")
    page.get_by_label("Only this mount").fill(HOSTILE)
    page.get_by_label("On or off").select_option("false")
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("region", name="Policies: Tags").get_by_role("row").last
    expect(row).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    row.get_by_role("button").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("region", name="Policies: Tags")).to_have_count(0)
