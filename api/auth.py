"""Who may ask: programs by a bearer token (RFC 6750), browsers by the cookie of a session; routes named here need none.

A change that is asked for by cookie must come from a page of this very server, which its Origin tells. The cookie's
SameSite=Strict alone would let pages in that another port of this machine serves.
"""

import hmac
from http import HTTPStatus

from flask import Flask, g, request

from api.attempts import WINDOW_SECONDS
from api.context import context
from api.problems import Problem
from store import sessions
from store.engine import reading

PUBLIC_ENDPOINTS = frozenset(
    {
        "health.healthz",
        "health.readyz",
        "pages.show_file",
        "pages.show_page",
        "pages.show_root",
        "session.sign_in",
    }
)
COOKIE = "fleetmedic_session"

_READING_METHODS = ("GET", "HEAD", "OPTIONS")


def require_sign_in(app: Flask) -> None:
    """Refuse every request of somebody unknown, also those for routes that do not exist."""
    app.before_request(_check)


def is_admin_token(given: bytes) -> bool:
    """Tell whether this is the admin token. A server that has none lets nobody in by it."""
    token = context().admin_token
    return bool(token) and hmac.compare_digest(given, token)


def check_attempts() -> None:
    """Before any secret is looked at: raise Problem (429) for an address that was wrong too often."""
    asked = context()
    if asked.attempts.exhausted(request.remote_addr or "", asked.now()):
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too many wrong tokens or codes came from this address: wait a minute",
            headers={"Retry-After": f"{WINDOW_SECONDS:.0f}"},
        )


def wrong_secret(given: bytes, detail: str, field: str | None = None) -> Problem:
    """Count a wrong token or code; return its problem, to be raised."""
    context().attempts.count(request.remote_addr or "", given, context().now())
    challenge = 'Bearer realm="fleetmedic", error="invalid_token"'
    return Problem(HTTPStatus.UNAUTHORIZED, detail, field=field, headers={"WWW-Authenticate": challenge})


def session_token() -> str | None:
    """Return the session that the present request was let in by; None where a bearer token did."""
    token: str | None = g.get("session_token")
    return token


def who() -> str:
    """Return who asks, as far as is known, to stand beside what they change."""
    return "admin token" if session_token() is None else "browser session"


def _check() -> None:
    if request.endpoint in PUBLIC_ENDPOINTS:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and given:
        # WSGI hands header bytes over as Latin-1.
        _check_bearer(given.strip().encode("latin-1", "replace"))
    elif cookie := request.cookies.get(COOKIE):
        _check_session(cookie)
    else:
        raise _unknown("a token is needed: send Authorization: Bearer TOKEN, or sign in with a link")


def _check_bearer(given: bytes) -> None:
    check_attempts()
    if not is_admin_token(given):
        raise wrong_secret(given, "the token is not valid")


def _check_session(cookie: str) -> None:
    with reading(context().engine) as connection:
        known = sessions.is_open(connection, cookie, context().now())
    if not known:
        raise _unknown("the session has ended: sign in with a new link, which `fleetmedic link` prints")
    if request.method not in _READING_METHODS:
        _check_origin()
    g.session_token = cookie


def _unknown(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="fleetmedic"'})


def _check_origin() -> None:
    own = f"{request.scheme}://{request.host}"
    if request.headers.get("Origin") != own:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"a change by cookie must come from a page of {own}, as its Origin says "
            "(a proxy in between must pass Host, and X-Forwarded-Proto for https)",
        )
