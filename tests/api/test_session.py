from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from store import sessions
from store.engine import writing

NOW = 1_800_000_000.0
TOKEN = "a token for tests"
ORIGIN = "http://localhost"
STRANGE_ORIGINS = (
    None,
    "",
    "null",
    "localhost",
    "http://evil.example",
    "http://localhost.evil.example",
    # Another server on this machine, to which SameSite is no barrier.
    "http://localhost:3000",
    "https://localhost",
)
CHANGES = [
    ("POST", "/api/agent/monitor/stop"),
    ("POST", "/api/agent/monitor/clear"),
    ("DELETE", "/api/v1/session"),
]


@pytest.fixture
def database_url(upgraded: str) -> str:
    """SQLite alone will do: tests/store/test_sessions.py tries both."""
    return upgraded


@pytest.fixture
def browser(client: FlaskClient) -> FlaskClient:
    """A client that has no token, and keeps its cookies."""
    client.environ_base.pop("HTTP_AUTHORIZATION")
    return client


@pytest.fixture
def code(engine: Engine) -> str:
    with writing(engine) as connection:
        return sessions.add_code(connection, NOW)


@pytest.fixture
def signed_in(browser: FlaskClient, code: str) -> FlaskClient:
    assert browser.post("/api/v1/session", json={"code": code}).status_code == 204
    return browser


def _cookie(browser: FlaskClient) -> str:
    kept = browser.get_cookie("fleetmedic_session")
    assert kept
    return kept.value


def _sending(client: FlaskClient, cookie: str) -> FlaskClient:
    """A client that sends this cookie wherever it asks, as no browser would."""
    sender = client.application.test_client(use_cookies=False)
    sender.environ_base["HTTP_COOKIE"] = f"fleetmedic_session={cookie}"
    return sender


def test_a_code_lets_a_browser_in_once(browser: FlaskClient, code: str) -> None:
    assert browser.get("/api/v1/session").status_code == 401
    assert browser.post("/api/v1/session", json={"code": code}).status_code == 204
    assert browser.get("/api/v1/session").get_json() == {"signed_in": True}
    assert browser.get("/api/v1/hosts").status_code == 200
    again = browser.post("/api/v1/session", json={"code": code})
    assert (again.status_code, again.get_json(force=True)["field"]) == (401, "code")


def test_the_admin_token_lets_a_browser_in(browser: FlaskClient) -> None:
    assert browser.post("/api/v1/session", json={"token": TOKEN}).status_code == 204
    assert browser.get("/api/v1/session").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "code"),
        ({"code": "a", "token": "b"}, 400, "code"),
        ({"code": ""}, 400, "code"),
        ({"code": "x" * 2000}, 400, "code"),
        ({"code": 5}, 400, "code"),
        ({"password": "a"}, 400, "password"),
        ({"code": "guess"}, 401, "code"),
        ({"token": "guess"}, 401, "token"),
        ({"token": "gehört"}, 401, "token"),
    ],
)
def test_who_has_no_code_gets_no_session(browser: FlaskClient, body: dict[str, Any], status: int, field: str) -> None:
    answer = browser.post("/api/v1/session", json=body)
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (status, field)
    assert "Set-Cookie" not in answer.headers
    assert browser.get("/api/v1/session").status_code == 401


def test_who_guesses_ten_codes_has_to_wait(browser: FlaskClient, code: str) -> None:
    guesses = [browser.post("/api/v1/session", json={"code": f"guess {number}"}).status_code for number in range(10)]
    assert guesses == [401] * 10
    assert browser.post("/api/v1/session", json={"code": code}).status_code == 429


@pytest.mark.parametrize(("url", "secure"), [("http://localhost", False), ("https://localhost", True)])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: FlaskClient, code: str, url: str, secure: bool
) -> None:
    answer = browser.post("/api/v1/session", json={"code": code}, base_url=url)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])["fleetmedic_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["max-age"] == str(30 * 86400)
    assert bool(cookie["secure"]) is secure


def test_a_session_ends_when_the_browser_signs_out(signed_in: FlaskClient) -> None:
    kept = _sending(signed_in, _cookie(signed_in))
    assert kept.get("/api/v1/session").status_code == 200
    answer = signed_in.delete("/api/v1/session", headers={"Origin": ORIGIN})
    assert (answer.status_code, signed_in.get_cookie("fleetmedic_session")) == (204, None)
    assert kept.get("/api/v1/session").status_code == 401


def test_a_session_ends_after_thirty_days(make_client: Callable[..., FlaskClient]) -> None:
    time = [NOW]
    browser = make_client(now=lambda: time[0])
    browser.environ_base.pop("HTTP_AUTHORIZATION")
    browser.post("/api/v1/session", json={"token": TOKEN})
    kept = _sending(browser, _cookie(browser))
    time[0] += 30 * 86400 - 1
    assert kept.get("/api/v1/hosts").status_code == 200
    time[0] += 1
    assert kept.get("/api/v1/hosts").status_code == 401


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_by_cookie_from_another_origin_is_refused(
    signed_in: FlaskClient, rows: Any, method: str, path: str
) -> None:
    rows.host("web")
    for origin in STRANGE_ORIGINS:
        answer = signed_in.open(path, method=method, headers={} if origin is None else {"Origin": origin})
        assert (answer.status_code, answer.mimetype) == (403, "application/problem+json"), origin
    assert signed_in.get("/api/v1/session").status_code == 200
    assert signed_in.get("/api/agent/monitor/status").get_json()["running"]


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_by_cookie_from_this_origin_is_made(signed_in: FlaskClient, rows: Any, method: str, path: str) -> None:
    rows.host("web")
    assert signed_in.open(path, method=method, headers={"Origin": ORIGIN}).status_code in (200, 204)


def test_the_origin_counts_with_its_port_and_scheme(signed_in: FlaskClient, rows: Any) -> None:
    rows.host("web")
    kept = _sending(signed_in, _cookie(signed_in))
    for url in ("http://127.0.0.1:8080", "https://fleet.example", "http://[::1]:8080"):
        assert kept.post("/api/agent/monitor/clear", headers={"Origin": url}, base_url=url).status_code == 200


def test_reading_by_cookie_needs_no_origin(signed_in: FlaskClient) -> None:
    assert signed_in.get("/api/v1/hosts", headers={"Origin": "http://evil"}).status_code == 200
    assert signed_in.head("/api/v1/hosts").status_code == 200


def test_a_change_by_bearer_token_needs_no_origin(client: FlaskClient) -> None:
    assert client.post("/api/agent/monitor/clear").status_code == 200


def test_a_guessed_cookie_lets_nobody_in(signed_in: FlaskClient) -> None:
    good = _cookie(signed_in)
    statuses = {
        cookie: _sending(signed_in, cookie).get("/api/v1/hosts").status_code
        for cookie in (good, "guess", "ÿ", "x" * 4000, good[:-1], f"a; fleetmedic_session={good}")
    }
    assert list(statuses.values()) == [200, 401, 401, 401, 401, 401]


def test_the_password_of_a_proxy_in_front_does_not_hide_the_cookie(signed_in: FlaskClient) -> None:
    assert signed_in.get("/api/v1/hosts", headers={"Authorization": "Basic eDp5"}).status_code == 200


def test_a_server_without_a_token_lets_browsers_in_by_link_alone(
    make_client: Callable[..., FlaskClient], code: str
) -> None:
    browser = make_client(admin_token="")
    browser.environ_base.pop("HTTP_AUTHORIZATION")
    assert browser.post("/api/v1/session", json={"token": "None"}).status_code == 401
    assert browser.post("/api/v1/session", json={"code": code}).status_code == 204
