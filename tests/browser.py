"""A headless Chromium for the tests: one a session, a context of its own for each page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

_SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_DESKTOP = ViewportSize(width=1280, height=900)


class Browsers:
    """Gives pages, each as if in a browser of its own."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def new_page(self, viewport: ViewportSize = _DESKTOP, **options: object) -> Page:
        """Open a page with cookies of its own; ``options`` are those of Playwright's contexts."""
        context = self._browser.new_context(viewport=viewport, locale="en-US", **options)  # type: ignore[arg-type]
        return context.new_page()


def chromium() -> str:
    """Return the path of Debian's Chromium; skip the test where there is none, but fail where CI is set."""
    # The shell is the same engine without the windows of a browser: it loads a page for half the CPU.
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    path = next((found for found in map(shutil.which, names) if found), None)
    if path is None:
        message = "no Chromium: apt-get install chromium-headless-shell libatomic1"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@contextmanager
def running_browsers() -> Iterator[Browsers]:
    """Run a Chromium until the block ends."""
    # First of all: where there is no Chromium, what Playwright itself needs may be missing, too.
    path = chromium()
    with sync_playwright() as playwright:
        environment = {**os.environ, "LANG": "en_US.UTF-8"}
        browser = playwright.chromium.launch(executable_path=path, args=list(_SWITCHES), env=environment)
        try:
            yield Browsers(browser)
        finally:
            browser.close()
