"""The panel that says what holds a host or the fleet back."""

from playwright.sync_api import expect

from tests.dashboard.conftest import DETAILS, OpenPage, Served
from tests.system.all_in_one import wait_until


def test_the_bottleneck_is_named_with_its_figures_and_leads_to_a_script(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host(hours=0.5, cpu_percent=98.0, load_1=9.0))
    panel = page.get_by_test_id("optimize")
    expect(panel.locator(".bottleneck")).to_have_text("CPU")
    worst = panel.get_by_role("listitem").first
    expect(worst).to_contain_text("CPU was busy at 98 %")
    worst.get_by_text("The numbers").click()
    expect(worst.locator("dl > div", has_text="load")).to_contain_text("9")
    panel.get_by_role("button", name="Make script").first.click()
    expect(page.get_by_role("dialog").get_by_label("Remedy")).to_have_value("cpu_high")


def test_what_no_script_does_says_why_and_what_to_expect(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host(hours=0.5, network_drops_per_second=300.0))
    first = page.get_by_test_id("optimize").locator(".suggestions li").first
    for text in ("Check cables", "What is lost now would arrive", "high impact, low risk", "outside of the host"):
        expect(first).to_contain_text(text)
    expect(first.get_by_role("button")).to_have_count(0)


def test_a_calm_host_is_said_to_be_one(served: Served, open_page: OpenPage) -> None:
    host = served.host(hours=0.5, details=DETAILS)
    panel = open_page(host).get_by_test_id("optimize")
    expect(panel.locator(".bottleneck")).to_have_text("No bottleneck")
    expect(panel).to_contain_text(f"Nothing that is measured holds `{host.name}` back.")


def test_the_fleet_is_looked_at_again_when_asked_for_and_leads_to_its_hosts(
    served: Served, open_page: OpenPage
) -> None:
    page = open_page()
    panel = page.get_by_test_id("optimize")
    expect(panel.locator(".bottleneck")).to_be_visible()
    held_back = served.host(hours=0.5, network_drops_per_second=1e6).name

    def is_told() -> bool:
        panel.get_by_role("button", name="Look again").click()
        return f"`{held_back}`" in panel.inner_text()

    wait_until(is_told, panel.inner_text)
    link = panel.locator(".suggestion-hosts button").first
    name = link.text_content()
    link.click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
