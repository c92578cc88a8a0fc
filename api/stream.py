"""The route of live pages: server-sent events that say what changed, so that a page asks for it again.

A stream holds a thread of the server for as long as it is open, so there are only so many; the rest is for requests.
"""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import redis
from flask import Blueprint, Response, request
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from api.auth import session_token
from api.changes import Changes, merge, of_host, read_announcement, server_sent_events
from api.context import Context, context
from api.operations import operation
from api.problems import Problem
from api.references import HostReference, host_in_field
from store import sessions
from store.engine import reading
from wire.keys import CHANGES

blueprint = Blueprint("stream", __name__, url_prefix="/api/v1/stream")

_TICK_SECONDS = 1.0
"""How soon a stream notices that its reader is gone, or that the server is to stop."""
_GATHER_SECONDS = 0.2
"""Changes that come this close together are told as one: a large fleet is drained many times a second."""
_SUBSCRIBE_SECONDS = 2.0
_UNANSWERED_MILLISECONDS = 30_000
"""After this, a reader that no longer acknowledges what was sent to it counts as gone."""


class StreamQuery(Struct, forbid_unknown_fields=True):
    """Of which host to tell; of all unless one is named."""

    host: HostReference | None = None


@blueprint.get("")
@operation(query=StreamQuery, media_type="text/event-stream")
def follow(asked: StreamQuery) -> Response:
    """Tell what changes, as server-sent events, until the caller goes or its session ends.

    ``event`` is ``snapshots``, ``events`` or ``scripts``; ``data`` is ``{"hosts": [id, ...]}`` or
    ``{"scripts": [id, ...], "states": {id: state, ...}}``, with null instead of the ids, and no states, where they are
    too many to name. A comment comes every 15 seconds. A 503 says that there is no stream left: ask for what is shown
    every 30 seconds instead.
    """
    made = context()
    host_id = None
    if asked.host is not None:
        with reading(made.engine) as connection:
            host_id = host_in_field(connection, asked.host).id
    if not made.streams.take():
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"all {made.streams.limit} streams are taken: ask for what is shown from time to time instead",
            headers={"Retry-After": "30"},
        )
    try:
        changes = _subscribe(made)
    except BaseException:
        made.streams.give_back()
        raise
    response = Response(
        _told(made, changes, host_id, session_token(), _reader_is_gone(request.environ.get("gunicorn.socket"))),
        mimetype="text/event-stream",
        # A proxy may otherwise keep what is sent until it has enough.
        headers={"X-Accel-Buffering": "no"},
    )
    # Also when nothing was ever read of it, as for a HEAD.
    response.call_on_close(changes.close)
    response.call_on_close(made.streams.give_back)
    return response


def _subscribe(made: Context) -> "redis.client.PubSub":
    """Return a subscription that is in force: nothing announced from now on is missed. Raises Problem."""
    changes: redis.client.PubSub = made.redis.pubsub()  # type: ignore[no-untyped-call]
    try:
        changes.subscribe(CHANGES)
        confirmed = changes.get_message(timeout=_SUBSCRIBE_SECONDS)
    except redis.RedisError:
        confirmed = None
    if confirmed is None:
        changes.close()
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Redis does not answer: there are no streams just now")
    return changes


def _told(
    made: Context,
    changes: "redis.client.PubSub",
    host_id: int | None,
    session: str | None,
    reader_is_gone: Callable[[], bool],
) -> Iterator[bytes]:
    yield b": following\n\n"
    next_beat = time.monotonic() + made.streams.heartbeat_seconds
    while not made.streams.are_to_end() and not reader_is_gone():
        try:
            change = _gather(changes)
            if time.monotonic() >= next_beat:
                if session is not None and not _is_open(made, session):
                    return
                yield b": still following\n\n"
                next_beat = time.monotonic() + made.streams.heartbeat_seconds
        except (redis.RedisError, SQLAlchemyError):
            # The reader finds the stream ended, and asks the API, which says what is wrong.
            return
        if host_id is not None:
            change = of_host(change, host_id)
        if change:
            yield server_sent_events(change)


def _gather(changes: "redis.client.PubSub") -> Changes:
    """Return the next change together with those that come close behind it; nothing where none comes in time."""
    message = changes.get_message(timeout=_TICK_SECONDS)
    if message is None:
        return {}
    change = read_announcement(message["data"])
    until = time.monotonic() + _GATHER_SECONDS
    while (left := until - time.monotonic()) > 0:
        message = changes.get_message(timeout=left)
        if message is not None:
            change = merge(change, read_announcement(message["data"]))
    return change


def _is_open(made: Context, session: str) -> bool:
    with reading(made.engine) as connection:
        return sessions.is_open(connection, session, made.now())


def _reader_is_gone(connection: Any) -> Callable[[], bool]:
    """Return what tells whether the other end of the server's socket closed; where there is no socket, it never did."""
    if connection is None:
        return lambda: False
    if sys.platform == "linux":
        # Of a reader that was cut off without a word, only missing acknowledgements tell.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MILLISECONDS)

    def closed() -> bool:
        try:
            return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    return closed
