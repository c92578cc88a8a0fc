import base64
import hashlib
import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from api.app import create_app
from store.settings import ServerSettings

MAP = '{"imports": {"preact": "/dashboard/vendor/preact.mjs"}}'
PAGE = f'<!doctype html><script type="importmap">{MAP}</script><script src="/dashboard/main.js"></script>'
MEDIA_TYPES = {
    "main.js": "text/javascript; charset=utf-8",
    "vendor/preact.mjs": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml; charset=utf-8",
    "logo.png": "image/png",
    "font.woff2": "font/woff2",
}
NOT_SERVED = (
    "index.html",
    "__init__.py",
    "package.json",
    ".hidden",
    "nothing.js",
    "components",
    "components/",
    "node_modules/htm/index.js",
    "../secret.js",
    "components/../../secret.js",
    "%2e%2e/secret.js",
    "..%2fsecret.js",
    "..%5csecret.js",
    "%2fetc%2fpasswd",
    "/etc/hostname.js",
    "main.js%00.png",
    "a" * 5000 + ".js",
)


@pytest.fixture
def database_url(upgraded: str) -> str:
    """SQLite alone will do: what the database does is not what is tried here."""
    return upgraded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page with a file of each kind, beside a file that is none of its business."""
    folder = tmp_path / "dashboard"
    for name in (
        *MEDIA_TYPES,
        "__init__.py",
        "package.json",
        ".hidden",
        "node_modules/htm/index.js",
        "components/a.js",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "index.html").write_text(PAGE)
    (tmp_path / "secret.js").write_text("secret")
    return folder


@pytest.fixture
def browser(settings: ServerSettings, engine: Engine, folder: Path) -> FlaskClient:
    """A client that nobody signed in."""
    return create_app(settings, engine, page_folder=folder).test_client()


def _scripts_allowed(policy: str) -> list[str]:
    directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert directives["style-src"] == "'self'"
    assert "unsafe" not in policy
    return directives["script-src"].split()


def test_the_page_is_served_as_html_to_anybody(browser: FlaskClient) -> None:
    answer = browser.get("/monitoring-dashboard")
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_root_leads_to_the_page(browser: FlaskClient) -> None:
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/monitoring-dashboard")


def test_the_page_may_run_its_own_modules_and_its_import_map_only(browser: FlaskClient) -> None:
    policy = browser.get("/monitoring-dashboard").headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(MAP.encode()).digest()).decode()
    assert _scripts_allowed(policy) == ["'self'", f"'sha256-{digest}'"]


def test_the_policy_follows_a_page_that_is_changed(browser: FlaskClient, folder: Path) -> None:
    (folder / "index.html").write_text("<script>alert(1)</script>")
    policy = browser.get("/monitoring-dashboard").headers["Content-Security-Policy"]
    assert _scripts_allowed(policy) == ["'self'"]


def test_each_kind_of_file_has_its_media_type(browser: FlaskClient) -> None:
    served = {name: browser.get(f"/dashboard/{name}") for name in MEDIA_TYPES}
    assert {name: answer.text for name, answer in served.items()} == {name: name for name in MEDIA_TYPES}
    assert {name: answer.headers["Content-Type"] for name, answer in served.items()} == MEDIA_TYPES
    assert {answer.headers["X-Content-Type-Options"] for answer in served.values()} == {"nosniff"}


def test_nothing_but_the_files_of_the_page_is_served(browser: FlaskClient) -> None:
    for path in NOT_SERVED:
        answer = browser.get(f"/dashboard/{path}")
        # What is no path below the folder leads to no route, and of routes a stranger learns nothing.
        assert answer.status_code in (401, 404), path
        assert answer.mimetype == "application/problem+json", path


@pytest.mark.parametrize("path", ["/monitoring-dashboard", "/dashboard/main.js"])
def test_a_browser_asks_again_each_time_and_loads_only_what_changed(
    browser: FlaskClient, folder: Path, path: str
) -> None:
    first = browser.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    tag = {"If-None-Match": first.headers["ETag"]}
    again = browser.get(path, headers=tag)
    assert (again.status_code, again.data) == (304, b"")
    for name in ("index.html", "main.js"):
        (folder / name).write_text("changed")
    assert browser.get(path, headers=tag).text == "changed"


def test_where_its_modules_are_missing_the_page_says_what_to_do(browser: FlaskClient, folder: Path) -> None:
    shutil.rmtree(folder / "vendor")
    answer = browser.get("/monitoring-dashboard")
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "<code>make setup</code>" in answer.text


def test_the_page_of_this_checkout_is_the_one_that_is_served(settings: ServerSettings, engine: Engine) -> None:
    browser = create_app(settings, engine).test_client()
    icon = Path(__file__).parents[2] / "dashboard" / "icon.svg"
    assert browser.get("/dashboard/icon.svg").data == icon.read_bytes()
