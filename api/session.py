"""Routes of the browser's session: sign in, ask, sign out."""

from http import HTTPStatus
from typing import Annotated

from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from api.answers import answer
from api.auth import COOKIE, check_attempts, is_admin_token, session_token, wrong_secret
from api.context import context
from api.operations import operation
from api.parsing import bad_field
from store import sessions
from store.engine import writing

blueprint = Blueprint("session", __name__, url_prefix="/api/v1/session")

_Secret = Annotated[str, Meta(min_length=1, max_length=1024)]


class SignInBody(Struct, forbid_unknown_fields=True):
    """What lets a browser in: the code of a printed link, or the admin token."""

    code: _Secret | None = None
    token: _Secret | None = None


@blueprint.post("")
@operation(body=SignInBody, statuses=(HTTPStatus.NO_CONTENT,))
def sign_in(asked: SignInBody) -> Response:
    """Sign a browser in with the code of a printed link or with the admin token.

    The answer sets an HttpOnly cookie that is good for 30 days. A code is good once.
    """
    if (asked.code is None) == (asked.token is None):
        raise bad_field("code", "or token is needed, and only one of them")
    check_attempts()
    if asked.token is not None and not is_admin_token(asked.token.encode()):
        raise wrong_secret(asked.token.encode(), "the token is not valid", "token")
    now = context().now()
    with writing(context().engine) as connection:
        if asked.code is not None and not sessions.redeem_code(connection, asked.code, now):
            raise wrong_secret(
                asked.code.encode(),
                "the code is not valid: it is good once, for an hour; `fleetmedic link` prints a new one",
                "code",
            )
        session = sessions.open_session(connection, now)
    return _with_cookie(session, int(sessions.SESSION_SECONDS))


@blueprint.get("")
@operation()
def show() -> Response:
    """Say that the caller is signed in.

    Who is not gets a 401.
    """
    return answer({"signed_in": True})


@blueprint.delete("")
@operation(statuses=(HTTPStatus.NO_CONTENT,))
def sign_out() -> Response:
    """End the session of the browser that asks."""
    token = session_token()
    if token is not None:
        with writing(context().engine) as connection:
            sessions.close_session(connection, token)
    return _with_cookie("", 0)


def _with_cookie(value: str, max_age_seconds: int) -> Response:
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.set_cookie(
        COOKIE, value, max_age=max_age_seconds, path="/", secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return response
