"""Who gets in, and what the address keeps of it."""

from playwright.sync_api import expect

from tests.browser import Browsers
from tests.dashboard.conftest import TOKEN, OpenPage, Served


def test_the_link_signs_in_and_leaves_no_code_in_the_address_or_the_history(served: Served, browsers: Browsers) -> None:
    page = browsers.new_page()
    page.goto("about:blank")
    page.goto(served.link())
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert page.url == f"{served.url}/monitoring-dashboard"
    page.go_back()
    assert page.url == "about:blank"


def test_who_has_signed_in_stays_so_after_a_reload(new_page: OpenPage) -> None:
    page = new_page()
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_link_is_good_once_and_the_form_says_how_to_get_another(served: Served, browsers: Browsers) -> None:
    link = served.link()
    for is_good in (True, False):
        page = browsers.new_page()
        page.goto(link)
        expect(page.get_by_role("button", name="Sign out")).to_be_visible(visible=is_good)
    expect(page.get_by_role("alert")).to_contain_text("The code is not valid")
    expect(page.get_by_text("fleetmedic link").first).to_be_visible()


def test_the_admin_token_signs_in_and_a_wrong_one_is_refused(served: Served, browsers: Browsers) -> None:
    page = browsers.new_page()
    page.goto(f"{served.url}/monitoring-dashboard")
    page.get_by_label("Admin token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The token is not valid")
    page.get_by_label("Admin token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_signing_out_leads_to_the_form_also_after_a_reload(served: Served, browsers: Browsers) -> None:
    page = browsers.new_page()
    page.goto(served.link())
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Admin token")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Admin token")).to_be_visible()
