from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

NOW = 1_800_000_000.0
TOKEN = "a token for tests"

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/api/v1/session"),
    ("GET", "/"),
    ("GET", "/monitoring-dashboard"),
    ("GET", "/dashboard/<path:path>"),
}


@pytest.fixture
def database_url(upgraded: str) -> str:
    """SQLite alone will do: what the database does is not what is tried here."""
    return upgraded


def _path(rule: Rule) -> str:
    return rule.rule.replace("<reference>", "1").replace("<event_id>", "1")


def _status_of_every_route(client: FlaskClient) -> dict[tuple[str, str], int]:
    return {
        (method, rule.rule): client.open(_path(rule), method=method).status_code
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_but_the_public_ones_refuses_a_request_without_a_token(client: FlaskClient) -> None:
    client.environ_base.pop("HTTP_AUTHORIZATION")
    assert {route for route, status in _status_of_every_route(client).items() if status != 401} == PUBLIC


def test_the_token_opens_every_route(client: FlaskClient) -> None:
    assert 401 not in _status_of_every_route(client).values()


def test_a_server_without_a_token_of_its_own_lets_nobody_in(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(admin_token="")
    for given in ("Bearer ", "Bearer  ", "Bearer", "Bearer None", "Bearer a token for tests"):
        assert client.get("/api/v1/hosts", headers={"Authorization": given}).status_code == 401


def test_only_the_very_token_as_a_bearer_is_accepted(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(admin_token="gehört mir")
    right = "gehört mir".encode().decode("latin-1")
    answers = {
        given: client.get("/api/v1/hosts", headers={"Authorization": given}).status_code
        for given in (f"Bearer {right}", f"bearer {right}", f"Basic {right}", f"Bearer {right}x", "Bearer ÿ", right)
    }
    assert list(answers.values()) == [200, 200, 401, 401, 401, 401]


def test_a_refusal_says_what_is_needed(client: FlaskClient) -> None:
    answer = client.get("/api/v1/hosts", headers={"Authorization": "Bearer wrong"})
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fleetmedic", error="invalid_token"'


def test_without_a_token_nobody_learns_which_routes_there_are(client: FlaskClient) -> None:
    client.environ_base.pop("HTTP_AUTHORIZATION")
    assert client.get("/api/v1/nothing").status_code == 401
    assert client.delete("/api/v1/hosts").status_code == 401


def _bearer(client: FlaskClient, token: str, address: str = "192.0.2.1") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return client.get("/api/v1/hosts", headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code


def test_who_guesses_ten_tokens_has_to_wait_even_with_the_right_one(client: FlaskClient) -> None:
    assert [_bearer(client, f"guess {number}") for number in range(12)] == [401] * 10 + [429] * 2
    assert _bearer(client, TOKEN) == 429
    answer = client.post("/api/v1/session", json={"token": TOKEN}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_who_guesses_shuts_nobody_else_out(client: FlaskClient) -> None:
    for number in range(12):
        _bearer(client, f"guess {number}")
    assert _bearer(client, TOKEN, address="192.0.2.2") == 200


def test_a_program_with_an_old_token_shuts_nobody_out_however_often_it_asks(client: FlaskClient) -> None:
    assert [_bearer(client, "old") for _ in range(15)] == [401] * 15
    assert _bearer(client, TOKEN) == 200


def test_after_a_minute_the_right_token_is_looked_at_again(make_client: Callable[..., FlaskClient]) -> None:
    time = [NOW]
    client = make_client(now=lambda: time[0])
    for number in range(10):
        _bearer(client, f"guess {number}")
    time[0] += 59
    assert _bearer(client, TOKEN) == 429
    time[0] += 1
    assert _bearer(client, TOKEN) == 200
