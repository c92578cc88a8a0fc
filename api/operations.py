"""What each route takes and answers, declared beside it: parsed by it, and shown by ``/openapi.json``.

Every view function carries ``operation``, directly below its route::

    @blueprint.get("/<reference>/metrics")
    @operation(query=MetricsQuery)
    def show_metrics(asked: MetricsQuery, reference: str) -> Response:
        '''Show metrics of a host over time.

        More about it, for the reader of the API's description.
        '''

``asked`` is the query or the body, checked; a route that takes neither has no such argument, and refuses a query.
The first line of the docstring is the summary. A part of the path is described by the argument's annotation, such as
``Annotated[str, Meta(pattern=...)]``. One path with two methods is two view functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Flask
from flask.typing import ResponseReturnValue, RouteCallable
from msgspec import Struct

from api import parsing
from api.parsing import NoParameters

_ATTRIBUTE = "fleetmedic_operation"


@dataclass(frozen=True)
class Operation:
    """What one route takes and answers."""

    query: type[Struct]
    body: type[Struct] | None
    statuses: tuple[HTTPStatus, ...]
    media_type: str


def operation(
    *,
    query: type[Struct] = NoParameters,
    body: type[Struct] | None = None,
    statuses: tuple[HTTPStatus, ...] = (HTTPStatus.OK,),
    media_type: str = "application/json",
) -> Callable[[Callable[..., ResponseReturnValue]], Callable[..., ResponseReturnValue]]:
    """Declare a route: it takes a query or a JSON body, or neither, and answers one of ``statuses`` if all is well.

    The view gets what was asked as its first argument; what does not fit never reaches it (``api.parsing``).
    """
    declared = Operation(query, body, statuses, media_type)

    def declare(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
        @wraps(view)
        def parsed(**path: Any) -> ResponseReturnValue:
            if body is not None:
                return view(parsing.body(body), **path)
            asked = parsing.query(query)
            return view(**path) if query is NoParameters else view(asked, **path)

        setattr(parsed, _ATTRIBUTE, declared)
        return parsed

    return declare


def operation_of(app: Flask, endpoint: str) -> Operation:
    """Return what the view of an endpoint declared. Raises TypeError where it declared nothing."""
    view: RouteCallable = app.view_functions[endpoint]
    declared = getattr(view, _ATTRIBUTE, None)
    if not isinstance(declared, Operation):
        raise TypeError(f"the view {endpoint} is not declared by @operation: nobody could know what it takes")
    return declared
