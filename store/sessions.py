"""Browsers that signed in, and the one-time codes that let them: of both the database has only the SHA-256.

Codes and session tokens are 256 random bits, so that a plain hash of them tells nothing.
"""

import hashlib
import secrets

from sqlalchemy import Connection, delete, insert, select

from store.schema import sessions, sign_in_codes

CODE_SECONDS = 3600.0
SESSION_SECONDS = 30 * 86400.0
_TOKEN_BYTES = 32


def add_code(connection: Connection, now: float) -> str:
    """Make a code that lets one browser in, once, within the next hour."""
    connection.execute(delete(sign_in_codes).where(sign_in_codes.c.expires_at <= now))
    code = secrets.token_urlsafe(_TOKEN_BYTES)
    connection.execute(insert(sign_in_codes), {"code_sha256": _hash(code), "expires_at": now + CODE_SECONDS})
    return code


def redeem_code(connection: Connection, code: str, now: float) -> bool:
    """Use up a code; return whether it was good. Of two that come with the same code, one gets it."""
    used = connection.execute(
        delete(sign_in_codes).where(sign_in_codes.c.code_sha256 == _hash(code), sign_in_codes.c.expires_at > now)
    )
    return used.rowcount == 1


def open_session(connection: Connection, now: float) -> str:
    """Start a session of 30 days; return the token that the browser is to send."""
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    row = {"token_sha256": _hash(token), "created_at": now, "expires_at": now + SESSION_SECONDS}
    connection.execute(insert(sessions), row)
    return token


def is_open(connection: Connection, token: str, now: float) -> bool:
    """Tell whether a session token is one that was handed out, and neither expired nor closed."""
    query = select(sessions.c.expires_at).where(sessions.c.token_sha256 == _hash(token), sessions.c.expires_at > now)
    return connection.scalar(query) is not None


def close_session(connection: Connection, token: str) -> None:
    """End a session; one that there is not is left alone."""
    connection.execute(delete(sessions).where(sessions.c.token_sha256 == _hash(token)))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
