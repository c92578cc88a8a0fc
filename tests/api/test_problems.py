import base64
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from store.engine import connect
from store.schema import metadata

JSON = "application/json"


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


BAD_QUERIES = {
    # path and query: the field that the answer names
    "/api/v1/hosts?limit=0": "limit",
    "/api/v1/hosts?limit=1001": "limit",
    "/api/v1/hosts?limit=ten": "limit",
    f"/api/v1/hosts?limit={'9' * 3000}": "limit",
    "/api/v1/hosts?limit=1&limit=2": "limit",
    "/api/v1/hosts?colour=red": "colour",
    "/api/v1/hosts?a`b=1": "a`b",
    "/api/v1/hosts?health=poorly": "health",
    "/api/v1/hosts?health=null": "health",
    "/api/v1/hosts?tag=a%00b": "tag",
    "/api/v1/hosts?name=a%00b": "name",
    "/api/v1/hosts?name=": "name",
    "/api/v1/hosts?cursor=%ff": "cursor",
    "/api/v1/hosts?cursor=zzz": "cursor",
    f"/api/v1/hosts?cursor={_cursor('5')}": "cursor",
    f"/api/v1/hosts?cursor={_cursor('[[[[')}": "cursor",
    rf"/api/v1/hosts?cursor={_cursor(chr(34) + chr(92) + 'u0000' + chr(34))}": "cursor",
    "/api/v1/hosts/web?verbose=1": "verbose",
    "/api/v1/hosts/web/processes?limit=1": "limit",
    "/api/v1/hosts/web/metrics?names=cpu_percent,nonsense": "names",
    "/api/v1/hosts/web/metrics?names=": "names",
    "/api/v1/hosts/web/metrics?names=host_id": "names",
    "/api/v1/hosts/web/metrics?points=1": "points",
    "/api/v1/hosts/web/metrics?points=2001": "points",
    "/api/v1/hosts/web/metrics?from=yesterday": "from",
    "/api/v1/hosts/web/metrics?from=2026-01-01T00:00:00": "from",
    "/api/v1/hosts/web/metrics?from=nan": "from",
    "/api/v1/hosts/web/metrics?from=-1": "from",
    "/api/v1/hosts/web/metrics?to=1e300": "to",
    "/api/v1/hosts/web/metrics?to=99999-01-01T00:00:00Z": "to",
    "/api/v1/hosts/web/metrics?to=9999-12-31T23:59:59-12:00": "to",
    "/api/v1/hosts/web/metrics?to=0001-01-01T00:00:00%2B12:00": "to",
    "/api/v1/hosts/web/metrics?from=20&to=20": "from",
    "/api/v1/hosts/web/metrics?to=0": "to",
    "/api/v1/events?severity=bad": "severity",
    "/api/v1/events?state=pending": "state",
    "/api/v1/events?type=CPU%00": "type",
    "/api/v1/events?since=inf": "since",
    "/api/v1/events?since=NULL": "since",
    "/api/v1/events?host=nobody": "host",
    f"/api/v1/events?host={2**64}": "host",
    "/api/v1/events?host=a%00b": "host",
    f"/api/v1/events?cursor={_cursor('[1e999, 1]')}": "cursor",
    f"/api/v1/events?cursor={_cursor(f'[1, {2**63}]')}": "cursor",
    "/api/agent/monitor/status?host=nobody": "host",
    "/api/agent/monitor/events?cursor=x": "cursor",
    "/api/agent/monitor/events?limit=-1": "limit",
}

BAD_BODIES: dict[bytes, tuple[int, str | None]] = {
    # body: status and the field that the answer names
    b"{": (400, None),
    b"nonsense": (400, None),
    b"[]": (400, None),
    b"null": (400, None),
    b"\xff\xfe": (400, None),
    b'{"host": "\xff"}': (400, None),
    rb'{"host": "\ud800"}': (400, None),
    b"[" * 200_000: (400, None),
    b'{"host": ' + b"[" * 200_000: (400, "host"),
    b'{"host": true}': (400, "host"),
    b'{"host": 1.5}': (400, "host"),
    b'{"host": 0}': (400, "host"),
    b'{"host": 18446744073709551616}': (400, "host"),
    b'{"host": ""}': (400, "host"),
    b'{"host": "nobody"}': (400, "host"),
    rb'{"host": "a\u0000b"}': (400, "host"),
    b'{"hosts": "web"}': (400, "hosts"),
    b'{"host": "' + b"x" * 2**20 + b'"}': (413, None),
}

NOT_FOUND = (
    "/api/v1/nothing",
    "/api/v1/hosts/nobody",
    "/api/v1/hosts/%00",
    "/api/v1/hosts/%ff%fe",
    f"/api/v1/hosts/{2**63}",
    f"/api/v1/hosts/{'9' * 5000}",
    "/api/v1/hosts/٣",
    "/api/v1/hosts/nobody/metrics",
    "/api/v1/hosts/nobody/processes",
    "/api/v1/events/0",
    "/api/v1/events/-1",
    f"/api/v1/events/{2**63}",
    f"/api/v1/events/{'9' * 5000}",
    "/api/v1/events/first",
    "/api//v1/hosts",
)


def _is_problem(document: dict[str, Any] | None, status: int) -> bool:
    return document is not None and document["status"] == status and {"type", "title", "detail"} <= set(document)


def test_a_bad_query_is_a_400_that_names_the_field(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    named = {}
    for address in BAD_QUERIES:
        answer = client.get(address)
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json"), address
        named[address] = answer.get_json(force=True)["field"]
    assert named == BAD_QUERIES


@pytest.mark.parametrize("action", ["start", "stop", "clear"])
def test_a_bad_body_is_refused_and_changes_nothing(client: FlaskClient, rows: Any, action: str, engine: Engine) -> None:
    rows.host("web")
    before = _everything(engine)
    refusals = {}
    for body in BAD_BODIES:
        answer = client.post(f"/api/agent/monitor/{action}", data=body, content_type=JSON)
        document = answer.get_json(force=True)
        assert _is_problem(document, answer.status_code)
        refusals[body] = (answer.status_code, document.get("field"))
    assert refusals == BAD_BODIES
    assert _everything(engine) == before


def _everything(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {name: connection.execute(metadata.tables[name].select()).all() for name in ("hosts", "events")}


def test_a_body_that_is_not_said_to_be_json_is_refused(client: FlaskClient) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", None):
        answer = client.post("/api/agent/monitor/stop", data=b'{"host": "*"}', content_type=content_type)
        assert _is_problem(answer.get_json(force=True), 415)


def test_a_change_takes_no_query_that_would_go_unread(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    answer = client.post("/api/agent/monitor/stop?host=web")
    assert (answer.status_code, answer.get_json(force=True)["field"]) == (400, "host")


def test_what_is_not_there_is_a_404(client: FlaskClient) -> None:
    for address in NOT_FOUND:
        answer = client.get(address)
        assert _is_problem(answer.get_json(force=True), 404), address


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    answer = client.delete("/api/v1/hosts")
    assert _is_problem(answer.get_json(force=True), 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_no_answer_may_be_stored_sniffed_or_framed(client: FlaskClient) -> None:
    for address in ("/healthz", "/api/v1/hosts", "/api/v1/nothing"):
        headers = client.get(address).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_database_that_is_down_is_a_503_that_tells_no_internals(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(database=connect("postgresql://user:hunter2@127.0.0.1:1/fleetmedic"))
    for address in ("/api/v1/hosts", "/api/v1/events", "/api/agent/monitor/status"):
        answer = client.get(address)
        assert _is_problem(answer.get_json(force=True), 503)
        assert "127.0.0.1" not in answer.text
    assert client.post("/api/agent/monitor/clear").status_code == 503


def test_what_nobody_foresaw_is_a_500_that_tells_no_internals(client: FlaskClient) -> None:
    client.application.add_url_rule("/broken", view_func=lambda: {}["a secret"])
    answer = client.get("/broken")
    assert _is_problem(answer.get_json(force=True), 500)
    assert "secret" not in answer.text
