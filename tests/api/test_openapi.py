from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient

from api.openapi import document

JSON = "application/json"
# No value of any query parameter: neither a number nor a time, and in no text that a database takes.
ILL_TYPED = "\0"


class Route(NamedTuple):
    method: str
    path: str
    described: dict[str, Any]

    def address(self, host: int, event: int) -> str:
        """The path with the parts that it is about filled in."""
        ids = {"script_id": 1, "policy_id": 1, "version": 1, "incident_id": 1, "window_id": 1}
        return self.path.format(reference=host, event_id=event, path="main.js", **ids)


@pytest.fixture
def database_url(upgraded: str) -> str:
    """SQLite alone will do: nothing here gets as far as a database."""
    return upgraded


@pytest.fixture
def described(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, JSON)
    return answer.get_json()


@pytest.fixture
def ids(rows: Any) -> tuple[int, int]:
    """Of a host and of an event that there are."""
    host = rows.host("web")
    return host, rows.event(host)


def _routes(described: dict[str, Any]) -> Iterator[Route]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield Route(method.upper(), path, operation)


def test_every_route_is_described(client: FlaskClient, described: dict[str, Any]) -> None:
    served = {
        (method, rule.rule.replace("<path:", "<").replace("<int:", "<").replace("<", "{").replace(">", "}"))
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(route.method, route.path) for route in _routes(described)} == served
    assert all(route.described["summary"] for route in _routes(described))


def test_a_route_that_declares_nothing_is_noticed(client: FlaskClient) -> None:
    client.application.add_url_rule("/forgotten", view_func=dict, endpoint="forgotten")
    with pytest.raises(TypeError, match="the view forgotten"):
        document(client.application)


def test_the_routes_that_answer_a_stranger_and_no_others_are_described_as_public(
    client: FlaskClient, described: dict[str, Any]
) -> None:
    client.environ_base.pop("HTTP_AUTHORIZATION")
    for route in _routes(described):
        public = client.open(route.address(1, 1), method=route.method).status_code != 401
        assert route.described.get("security", described["security"]) == (
            [] if public else [{"token": []}, {"session": []}]
        ), route


def test_an_unknown_parameter_is_named_by_every_route(
    client: FlaskClient, described: dict[str, Any], ids: tuple[int, int]
) -> None:
    named = {}
    for route in _routes(described):
        if route.path in ("/", "/monitoring-dashboard"):
            continue  # Their query is the page's own.
        answer = client.open(route.address(*ids), method=route.method, query_string={"nonsense": "1"})
        named[route.method, route.path] = (answer.status_code, answer.get_json(force=True).get("field"))
    assert set(named.values()) == {(400, "nonsense")}, named


def test_an_ill_typed_or_repeated_parameter_is_named_by_every_route(
    client: FlaskClient, described: dict[str, Any], ids: tuple[int, int]
) -> None:
    tried = 0
    for route in _routes(described):
        for parameter in route.described["parameters"]:
            if parameter["in"] == "query":
                name = parameter["name"]
                for values in ([ILL_TYPED], ["1", "1"]):
                    answer = client.open(route.address(*ids), method=route.method, query_string={name: values})
                    assert answer.status_code == 400, (route.method, route.path, name, values)
                    assert answer.get_json(force=True)["field"] == name
                    tried += 1
    assert tried > 20


def test_an_unknown_or_ill_typed_field_is_named_by_every_route(
    client: FlaskClient, described: dict[str, Any], ids: tuple[int, int]
) -> None:
    schemas = described["components"]["schemas"]
    tried = 0
    for route in _routes(described):
        if "requestBody" not in route.described:
            continue
        reference = route.described["requestBody"]["content"][JSON]["schema"]["$ref"]
        properties = schemas[reference.rpartition("/")[2]]["properties"]
        for name in (*properties, "nonsense"):
            # No field is a list of lists.
            answer = client.open(route.address(*ids), method=route.method, json={name: [[]]})
            assert answer.status_code == 400, (route.method, route.path, name)
            assert answer.get_json(force=True)["field"] == name
            tried += 1
    assert tried > 5
