"""Who may ask: a bearer token (RFC 6750) on every route that is not named here."""

import hmac
from http import HTTPStatus

from flask import Flask, request

from api.context import context
from api.problems import Problem

PUBLIC_ENDPOINTS = frozenset({"health.healthz", "health.readyz"})


def require_token(app: Flask) -> None:
    """Refuse every request without the token, also those for routes that do not exist."""
    app.before_request(_check)


def _check() -> None:
    if request.endpoint in PUBLIC_ENDPOINTS:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "a token is needed: send Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": 'Bearer realm="fleetmedic"'},
        )
    token = context().admin_token
    # WSGI hands header bytes over as Latin-1; without a token of its own the server lets nobody in.
    if not token or not hmac.compare_digest(given.strip().encode("latin-1", "replace"), token):
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "the token is not valid",
            headers={"WWW-Authenticate": 'Bearer realm="fleetmedic", error="invalid_token"'},
        )
