"""The Redis of ``up``: its address and password, kept in the data folder so that enrolled hosts find it again."""

from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandFailed
from cli.ports import check_free, free_port, is_loopback, is_wildcard, outward_address
from cli.private_files import kept_secret, write_private
from cli.redis_server import redis_command, redis_url

_USUAL_PORT = 16379


@dataclass(frozen=True)
class OwnRedis:
    """A Redis that is ready to be started."""

    folder: Path
    command: list[str]
    url: str
    """The administrator's."""
    collector_url: str
    """For collectors, without credentials: their host key brings them."""


def prepare_redis(folder: Path, host: str, asked_port: int | None) -> OwnRedis:
    """Choose port and password of the Redis in ``folder``, as they were before where it ran before.

    It listens where the API does, so that what other machines may reach is one decision. Raises CommandFailed where
    the port is taken, RedisUnavailable where there is no Redis to run.
    """
    folder.mkdir(exist_ok=True)
    listens = "127.0.0.1" if is_loopback(host) else "0.0.0.0" if is_wildcard(host) else host  # noqa: S104 - asked for
    port = _port(folder / "port", listens, asked_port)
    password = kept_secret(folder / "password")
    address = outward_address() if is_wildcard(host) else listens
    return OwnRedis(
        folder,
        redis_command(folder, password, listens, port),
        redis_url(password, port),
        f"redis://{f'[{address}]' if ':' in address else address}:{port}/0",
    )


def _port(kept: Path, host: str, asked: int | None) -> int:
    before = int(kept.read_text()) if kept.exists() else None
    port = asked or before
    if port is None:
        port = _first_port(host)
    else:
        check_free(host, port, "--redis-port")
    if port != before:
        write_private(kept, f"{port}\n")
    return port


def _first_port(host: str) -> int:
    try:
        check_free(host, _USUAL_PORT, "--redis-port")
    except CommandFailed:
        return free_port()
    return _USUAL_PORT
