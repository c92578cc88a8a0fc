"""Small screens, dark rooms, keyboards."""

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import OpenPage, Served

PHONE = {"width": 360, "height": 740}


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor"))


@pytest.mark.parametrize("view", ["host", "fleet"])
def test_nothing_is_wider_than_a_phone(served: Served, new_page: OpenPage, view: str) -> None:
    host = served.host(hours=0.5)
    host.event("cpu_high", severity="critical")
    host.event("disk_full", subject="/srv/" + "a" * 200)
    page = new_page(host if view == "host" else None, viewport=PHONE)
    expect(page.get_by_test_id("open-events").get_by_role("listitem").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_theme_is_the_systems_until_another_is_chosen_and_that_is_kept(served: Served, new_page: OpenPage) -> None:
    page = new_page(served.host(), color_scheme="dark")
    dark = background(page)
    page.get_by_role("button", name="Theme: system").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    expect(page.locator(".panel").first).not_to_have_css("background-color", dark)
    light = background(page)
    page.reload()
    page.locator(".panel").first.wait_for()
    assert background(page) == light


def test_the_keyboard_reaches_the_filter_and_a_chart(served: Served, new_page: OpenPage) -> None:
    page = new_page(served.host(hours=0.5, cpu_percent=lambda age: 10.0 + age))
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    cpu = page.locator(".chart", has=page.get_by_role("heading", name="CPU", exact=True))
    cpu.get_by_role("img").focus()
    expect(cpu).to_contain_text("busy 10.0")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(cpu).to_contain_text("busy 11.0")
