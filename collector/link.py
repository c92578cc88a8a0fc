"""The connection to Redis: one socket, one pipelined round trip at a time, no retries of its own."""

from collections.abc import Sequence

import redis
from redis.connection import Connection, UnixDomainSocketConnection, parse_url

from wire.keys import redis_password, redis_user
from wire.text import visible

TIMEOUT_SECONDS = 5.0

Reply = bytes | int | None


class LinkDown(RuntimeError):
    """Redis cannot be reached, or does not take what is sent; the message says why, for the log."""


class Link:
    """A connection that its owner opens, uses and closes; after any LinkDown it is closed.

    redis-py's own client is passed over on purpose: it connects anew without telling, and every new connection
    must be known here, since what was pushed over the old one may be lost.
    """

    def __init__(self, url: str, host_id: int, key: bytes) -> None:
        """``url`` may carry credentials; otherwise they are those of the host's own ACL user.

        Raises ValueError for a URL that is none.
        """
        options = {
            # RESP2 needs no command but AUTH to begin with, so an ACL user needs no further right.
            "protocol": 2,
            "driver_info": None,
            "socket_timeout": TIMEOUT_SECONDS,
            "socket_connect_timeout": TIMEOUT_SECONDS,
            "socket_keepalive": True,
        } | dict(parse_url(url))  # type: ignore[no-untyped-call]
        if "username" not in options and "password" not in options:
            options |= {"username": redis_user(host_id), "password": redis_password(key)}
        kind = options.pop("connection_class", Connection)
        if kind is UnixDomainSocketConnection:
            options.pop("socket_keepalive")
        self.address = visible(str(options.get("path") or f"{options.get('host')}:{options.get('port', 6379)}"))
        self._user = options.get("username", "default")
        self._connection = kind(**options)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that has not failed."""
        return bool(self._connection.is_connected)

    def open(self) -> None:
        """Connect and sign in. Raises LinkDown."""
        try:
            # Without check_health the connection makes no attempt of its own to repeat anything.
            self._connection.connect_check_health(check_health=False, retry_socket_connect=False)
        except (redis.RedisError, OSError) as error:
            self.close()
            raise LinkDown(self._reason(error)) from None

    def exchange(self, commands: Sequence[Sequence[str | bytes]]) -> list[Reply]:
        """Send all commands at once and return their replies. Raises LinkDown, also when one is refused."""
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
            replies: list[Reply] = []
            refused: redis.ResponseError | None = None
            for _ in commands:
                try:
                    replies.append(self._connection.read_response())
                except redis.ResponseError as error:
                    refused = refused or error
        except (redis.RedisError, OSError) as error:
            self.close()
            raise LinkDown(self._reason(error)) from None
        if refused:
            self.close()
            raise LinkDown(self._reason(refused))
        return replies

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._connection.disconnect()

    def _reason(self, error: Exception) -> str:
        text = visible(str(error)) or type(error).__name__
        if isinstance(error, redis.AuthenticationError):
            return (
                f"Redis at {self.address} does not let {self._user} in ({text}): is FLEETMEDIC_HOST_KEY the one that "
                "`fleetmedic enroll` printed last, and was the host not removed?"
            )
        if isinstance(error, redis.exceptions.NoPermissionError):
            return f"Redis at {self.address} does not permit {self._user} what a collector needs: {text}"
        if isinstance(error, redis.ResponseError):
            return f"Redis at {self.address} refuses: {text}"
        return f"Redis at {self.address} does not answer: {text}"
