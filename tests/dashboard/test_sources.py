"""What holds for every source file of the page."""

import json
import re
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "dashboard"
MODULES = sorted(
    file for file in DASHBOARD.rglob("*.js") if not {"vendor", "node_modules"} & set(file.relative_to(DASHBOARD).parts)
)
MARKUP_FROM_TEXT = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc")


def name(file: Path) -> str:
    return str(file.relative_to(DASHBOARD))


def test_there_are_modules() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("word", MARKUP_FROM_TEXT)
def test_no_module_makes_markup_or_code_from_text(word: str) -> None:
    assert [name(file) for file in MODULES if word in file.read_text()] == []


@pytest.mark.parametrize("call", ["fetch(", "EventSource(", "XMLHttpRequest", "sendBeacon"])
def test_only_api_js_makes_requests(call: str) -> None:
    assert {name(file) for file in MODULES if call in file.read_text()} <= {"api.js"}


def test_nothing_comes_from_elsewhere() -> None:
    sources = [*MODULES, *DASHBOARD.glob("*.css"), *DASHBOARD.glob("components/*.css"), DASHBOARD / "index.html"]
    assert [name(file) for file in sources if re.search(r"https?://|url\(|@import", file.read_text())] == []


def test_the_page_links_every_style_sheet() -> None:
    page = (DASHBOARD / "index.html").read_text()
    sheets = [*DASHBOARD.glob("*.css"), *DASHBOARD.glob("components/*.css")]
    assert [name(sheet) for sheet in sheets if f'href="/dashboard/{name(sheet)}"' not in page] == []


def test_no_module_is_left_unused() -> None:
    imported = {
        (file.parent / path).resolve() for file in MODULES for path in re.findall(r'from "(\.[^"]+)"', file.read_text())
    }
    started = {DASHBOARD / "main.js", DASHBOARD / "first-paint.js"}
    assert imported | started == set(MODULES)


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((DASHBOARD / "package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert [package for package in packages if "resolved" in package or "integrity" not in package] == []
