"""The connection to Redis: one socket, one pipelined round trip at a time.

A collector needs AUTH, SELECT, RPUSH and GET of the protocol (RESP2, redis.io/docs/reference/protocol-spec), and must
know of every new connection, since what was pushed over the old one may be lost. redis-py connects anew without
telling, and importing it takes 14 MB on every host, which is as much as the rest of a collector.
"""

import socket
from collections.abc import Sequence
from typing import IO
from urllib.parse import unquote

from wire.keys import redis_password, redis_user
from wire.redis_url import authorities, split
from wire.text import visible

TIMEOUT_SECONDS = 5.0
_DEFAULT_PORT = 6379
_MOST_LINE_BYTES = 64 * 1024
_MOST_VALUE_BYTES = 1024 * 1024
_REFUSED_LOGIN = ("WRONGPASS", "NOAUTH")

Reply = bytes | int | None


class LinkDown(RuntimeError):
    """Redis cannot be reached, or does not take what is sent; the message says why, for the log."""


class _Refused(Exception):
    """An error reply; the text is Redis' own."""


class Link:
    """A connection that its owner opens, uses and closes; after any LinkDown it is closed."""

    def __init__(self, url: str, host_id: int, key: bytes) -> None:
        """Take a URL ``redis://``, ``rediss://`` (TLS; ``?ssl_ca_certs=FILE`` names an authority) or ``unix://``.

        It may carry credentials; otherwise they are those of the host's own ACL user.
        Raises ValueError for a URL that is none of these.
        """
        parts = split(url)
        self._tls = parts.scheme == "rediss"
        self._authorities = authorities(url)
        self._path = unquote(parts.path) if parts.scheme == "unix" else ""
        self._host, self._port = parts.hostname or "", parts.port or _DEFAULT_PORT
        database = "" if self._path else parts.path.strip("/")
        if database and not database.isdecimal():
            raise ValueError(f"the database after the port must be a number, not '{visible(database)}'")
        self._database = int(database or 0)
        if parts.username or parts.password:
            self._user, self._password = unquote(parts.username or "default"), unquote(parts.password or "")
        else:
            self._user, self._password = redis_user(host_id), redis_password(key)
        self.address = visible(self._path or f"{self._host}:{self._port}")
        self._socket: socket.socket | None = None
        self._replies: IO[bytes] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that has not failed."""
        return self._socket is not None

    def open(self) -> None:
        """Connect and sign in. Raises LinkDown."""
        try:
            self._socket = self._connect()
        except OSError as error:
            raise self._down(error) from None
        self._replies = self._socket.makefile("rb")
        select: list[Sequence[str | bytes]] = [("SELECT", str(self._database))] if self._database else []
        self.exchange([("AUTH", self._user, self._password), *select])

    def exchange(self, commands: Sequence[Sequence[str | bytes]]) -> list[Reply]:
        """Send all commands at once and return their replies. Raises LinkDown, also when one is refused."""
        if self._socket is None or self._replies is None:
            raise LinkDown(f"there is no connection to Redis at {self.address}")
        try:
            self._socket.sendall(b"".join(map(_packed, commands)))
            return [_reply(self._replies) for _ in commands]
        except (OSError, _Refused) as error:
            self.close()
            raise self._down(error) from None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._replies is not None:
            self._replies.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._replies = None

    def _connect(self) -> socket.socket:
        if self._path:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(self._path)
            return connection
        connection = socket.create_connection((self._host, self._port), TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not self._tls:
            return connection
        from collector.tls import secured

        return secured(connection, self._host, self._authorities)

    def _down(self, error: Exception) -> LinkDown:
        text = visible(str(error)) or type(error).__name__
        if text.startswith(_REFUSED_LOGIN):
            return LinkDown(
                f"Redis at {self.address} does not let {self._user} in ({text}): is FLEETMEDIC_HOST_KEY the one that "
                "`fleetmedic enroll` printed last, and was the host not removed?"
            )
        if text.startswith("NOPERM"):
            return LinkDown(f"Redis at {self.address} does not permit {self._user} what a collector needs: {text}")
        if isinstance(error, _Refused):
            return LinkDown(f"Redis at {self.address} refuses: {text}")
        return LinkDown(f"Redis at {self.address} does not answer: {text}")


def _packed(command: Sequence[str | bytes]) -> bytes:
    words = [word.encode() if isinstance(word, str) else word for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _reply(replies: IO[bytes]) -> Reply:
    line = replies.readline(_MOST_LINE_BYTES)
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the connection was closed")
    kind, text = line[:1], line[1:-2]
    if kind == b"+":
        return text
    if kind == b"-":
        raise _Refused(text.decode("utf-8", "replace"))
    if kind == b":" and text.isdigit():
        return int(text)
    if kind == b"$" and text == b"-1":
        return None
    if kind == b"$" and text.isdigit() and int(text) <= _MOST_VALUE_BYTES:
        value = replies.read(int(text) + 2)
        if len(value) == int(text) + 2:
            return value[:-2]
        raise ConnectionError("the connection was closed")
    raise ConnectionError(f"that is no Redis: {text[:40]!r}")
