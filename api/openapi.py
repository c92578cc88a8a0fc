"""The API's description (OpenAPI 3.1), made from what its routes declare: none can be left out, none can differ."""

import inspect
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app
from msgspec import Struct
from werkzeug.routing import Rule

from api.answers import answer
from api.auth import COOKIE, PUBLIC_ENDPOINTS
from api.operations import Operation, operation, operation_of

blueprint = Blueprint("openapi", __name__)

Document = dict[str, Any]

_ADDED_BY_FLASK = {"HEAD", "OPTIONS"}
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
_DESCRIPTION = """Errors are problem documents (RFC 9457); `field` names the parameter or the field at fault. \
Lists come in pages: `next` is the `cursor` of the next one, null on the last. Times are RFC 3339 in UTC, percentages \
are 0 to 100, sizes are bytes. Programs send a bearer token, browsers the cookie of their session; what a browser \
changes must come from a page of this server."""


class ProblemDocument(Struct):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str | msgspec.UnsetType = msgspec.UNSET


@blueprint.get("/openapi.json")
@operation()
def show() -> Response:
    """Show this description."""
    return answer(document(current_app))


def document(app: Flask) -> Document:
    """Return the description of an app. Raises TypeError for a route that declares nothing."""
    routes = [(rule, operation_of(app, rule.endpoint)) for rule in app.url_map.iter_rules()]
    schemas = _Schemas([declared for _, declared in routes])
    paths: dict[str, Document] = {}
    for rule, declared in sorted(routes, key=lambda route: route[0].rule):
        path = paths.setdefault(_ARGUMENT.sub(r"{\1}", rule.rule), {})
        for method in (rule.methods or set()) - _ADDED_BY_FLASK:
            path[method.lower()] = _operation(rule, app.view_functions[rule.endpoint], declared, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fleetmedic", "version": version("fleetmedic"), "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": schemas.by_name,
            "responses": {
                "Problem": {
                    "description": "What went wrong",
                    "content": {"application/problem+json": {"schema": schemas.reference(ProblemDocument)}},
                }
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


class _Schemas:
    """JSON schemas of what routes take."""

    def __init__(self, declared: Sequence[Operation]) -> None:
        taken = (struct for one in declared for struct in (one.query, one.body) if struct is not None)
        structs = list(dict.fromkeys((*taken, ProblemDocument)))
        references, self.by_name = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
        self._references = dict(zip(structs, references, strict=True))

    def reference(self, struct: type[Struct]) -> Document:
        """Return what stands for a struct's schema."""
        return self._references[struct]

    def of(self, struct: type[Struct]) -> Document:
        """Return a struct's schema."""
        schema: Document = self.by_name[self._references[struct]["$ref"].rpartition("/")[2]]
        return schema


def _operation(rule: Rule, view: Callable[..., Any], declared: Operation, schemas: _Schemas) -> Document:
    summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n")
    described: Document = {
        "operationId": rule.endpoint,
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(rule, view), *_query_parameters(schemas.of(declared.query))],
        "responses": _responses(declared),
    }
    if more.strip():
        described["description"] = more.strip()
    if declared.body is not None:
        described["requestBody"] = {
            "required": bool(schemas.of(declared.body)["required"]),
            "content": {"application/json": {"schema": schemas.reference(declared.body)}},
        }
    if rule.endpoint in PUBLIC_ENDPOINTS:
        described["security"] = []
    return described


def _path_parameters(rule: Rule, view: Callable[..., Any]) -> list[Document]:
    arguments = inspect.signature(view).parameters
    return [
        {"name": name, "in": "path", "required": True, "schema": msgspec.json.schema(arguments[name].annotation)}
        for name in _ARGUMENT.findall(rule.rule)
    ]


def _query_parameters(schema: Document) -> list[Document]:
    return [
        {"name": name, "in": "query", "required": name in schema["required"], "schema": _without_null(field)}
        for name, field in schema["properties"].items()
    ]


def _without_null(field: Document) -> Document:
    """Return the schema of a query parameter: one that is left out is None inside, and cannot be given as null."""
    kept = {name: value for name, value in field.items() if (name, value) != ("default", None)}
    if "anyOf" not in kept:
        return kept
    choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
    return kept | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def _responses(declared: Operation) -> Document:
    responses: Document = {}
    for status in declared.statuses:
        responses[str(status.value)] = {"description": status.phrase}
        if status != HTTPStatus.NO_CONTENT:
            responses[str(status.value)]["content"] = {declared.media_type: {}}
    problem = {"$ref": "#/components/responses/Problem"}
    return responses | {"4XX": problem, "5XX": problem}
