"""Errors as problem documents (RFC 9457), whatever went wrong."""

import logging
from http import HTTPStatus

import msgspec
from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from wire.text import visible

PROBLEM_TYPE = "application/problem+json"

_REFUSALS = {
    HTTPStatus.NOT_FOUND: "there is no such route",
    HTTPStatus.METHOD_NOT_ALLOWED: "the route does not take this method",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large: 1 MiB is the most",
}
_RETRY_SOON = {"Retry-After": "5"}

_log = logging.getLogger(__name__)


class Problem(Exception):
    """An answer other than success. ``field`` names the query parameter or body field at fault."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
        members: dict[str, object] | None = None,
    ) -> None:
        """Describe the problem in a sentence for the person who meets it; ``members`` extend the document."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = headers or {}
        self.members = members or {}


def handle_problems(app: Flask) -> None:
    """Make every error of the app a problem document."""
    app.register_error_handler(Problem, _answer)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(OperationalError, _database_down)
    app.register_error_handler(InterfaceError, _database_down)
    app.register_error_handler(PoolTimeout, _database_down)
    app.register_error_handler(ParseException, _malformed)
    app.register_error_handler(Exception, _failed)


def problem_document(problem: Problem) -> bytes:
    """Return a problem as JSON."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        **problem.members,
    }
    if problem.field is not None:
        document["field"] = problem.field
    return msgspec.json.encode(document)


def _answer(problem: Problem) -> Response:
    return Response(
        problem_document(problem),
        status=problem.status.value,
        mimetype=PROBLEM_TYPE,
        headers=problem.headers,
    )


def _refused(error: HTTPException) -> Response:
    """Answer what Flask itself refuses."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    detail = _REFUSALS.get(status) or error.description or status.phrase
    allowed = error.valid_methods if isinstance(error, MethodNotAllowed) else None
    return _answer(Problem(status, detail, headers={"Allow": ", ".join(sorted(allowed))} if allowed else None))


def _malformed(error: ParseException) -> Response:
    """Answer a body that comes in chunks which are none; gunicorn tells when it is read."""
    return _answer(Problem(HTTPStatus.BAD_REQUEST, f"the body cannot be read: {error}"))


def _database_down(error: OperationalError | InterfaceError | PoolTimeout) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    _log.warning("%s %s: the database does not answer: %s", request.method, visible(request.path), visible(str(cause)))
    return _answer(
        Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer just now: try again", headers=_RETRY_SOON)
    )


def _failed(error: Exception) -> Response:
    _log.error("%s %s failed", request.method, visible(request.path), exc_info=error)
    return _answer(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; its log says why"))
