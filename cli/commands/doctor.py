"""``fleetmedic doctor``: what a server needs on this machine, one line a check."""

import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from cli.arguments import add_data_dir
from cli.errors import CommandFailed
from cli.redis_server import without_credentials
from cli.server_file import find_server
from store.settings import ServerSettings
from wire.environment import SettingError, data_dir
from wire.text import visible

_MOST_CLOCK_SKEW_SECONDS = 5.0
# A worker is at its periodic duties every five seconds.
_MOST_IDLE_SECONDS = 60.0
_FULL_SHARE = 0.9

Environment = Mapping[str, str]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data_dir(parser)


def run(arguments: Namespace, environment: Environment) -> int:
    """Make every check; return 1 if any fails."""
    known = find_server(environment, arguments.data_dir)
    healthy = True
    for name, check in CHECKS.items():
        try:
            found = check(known)
        except (CommandFailed, SettingError) as error:
            healthy = False
            print(f"{name:12}  FAILED  {visible(str(error), limit=400)}")
        else:
            print(f"{name:12}  ok      {visible(found)}")
    return 0 if healthy else 1


def _python(_known: Environment) -> str:
    return f"{sys.version.split()[0]}, {sys.executable}"


def _sqlite(_known: Environment) -> str:
    from store.engine import UnsafeSqlite, connect

    try:
        driver: Any = connect("sqlite://").dialect.dbapi
    except UnsafeSqlite as error:
        raise CommandFailed(str(error)) from None
    return str(driver.sqlite_version)


def _data_folder(known: Environment) -> str:
    folder = data_dir(known)
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise CommandFailed(
            f"{folder} cannot be written ({error.strerror}): set FLEETMEDIC_DATA_DIR to a folder that can"
        ) from None
    return str(folder) if place == folder else f"{folder}, not made yet"


def _redis(known: Environment) -> str:
    with _redis_of(known) as client:
        version = str(client.info("server")["redis_version"])
        policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
        clients = client.info("clients")
    if int(version.partition(".")[0]) < 7:
        raise CommandFailed(f"Redis {version}: 7 or newer is needed, for rights on single keys")
    if policy != "noeviction":
        raise CommandFailed(f"Redis evicts keys ({policy}), snapshots too: set its maxmemory-policy to noeviction")
    connected, most = clients["connected_clients"], clients["maxclients"]
    if connected > _FULL_SHARE * most:
        raise CommandFailed(
            f"{connected} of {most} connections are taken, each collector needs one: raise its maxclients, and the "
            "limit of open files that it runs under"
        )
    return f"{version}, {connected} of {most} connections"


def _clock(known: Environment) -> str:
    with _redis_of(known) as client:
        seconds, microseconds = client.time()
    skew = abs(time.time() - seconds - microseconds / 1e6)
    if skew > _MOST_CLOCK_SKEW_SECONDS:
        raise CommandFailed(f"{skew:.0f} s away from the clock of the machine that Redis runs on: set both by NTP")
    return f"{skew:.1f} s from the clock of the machine that Redis runs on"


@contextmanager
def _redis_of(known: Environment) -> Iterator[redis.Redis]:
    url = ServerSettings.from_environment(known).redis_url
    try:
        with redis.Redis.from_url(url, retry=None, socket_connect_timeout=5, socket_timeout=5) as client:
            yield client
    except (redis.RedisError, ValueError) as error:
        raise CommandFailed(
            f"the Redis at {without_credentials(url)} cannot be used ({error}): start `fleetmedic up`, or set "
            "FLEETMEDIC_REDIS_URL"
        ) from None


def _database(known: Environment) -> str:
    import migrations
    from cli.database import open_database

    with open_database(known) as engine:
        if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
            raise CommandFailed(f"{engine.url.database} does not exist: run `fleetmedic db upgrade` or `fleetmedic up`")
        revision = migrations.current(engine)
        if revision != migrations.head():
            raise CommandFailed(f"at revision {revision}, {migrations.head()} is needed: run `fleetmedic db upgrade`")
        return f"{engine.url.render_as_string()} at revision {revision}"


def _worker(known: Environment) -> str:
    from cli.database import open_database
    from store.engine import reading
    from store.leases import last_run
    from wire.keys import TASK_SWEEP

    with open_database(known) as engine, reading(engine) as connection:
        swept_at = last_run(connection, TASK_SWEEP)
    idle_seconds = None if swept_at is None else max(0.0, time.time() - swept_at)
    if idle_seconds is None or idle_seconds > _MOST_IDLE_SECONDS:
        since = "ever" if idle_seconds is None else f"for {idle_seconds:.0f} s"
        raise CommandFailed(f"none was at work {since}: start `fleetmedic worker`, or see what its log says")
    return f"at work {idle_seconds:.0f} s ago"


CHECKS: dict[str, Callable[[Environment], str]] = {
    "python": _python,
    "sqlite": _sqlite,
    "data folder": _data_folder,
    "redis": _redis,
    "clock": _clock,
    "database": _database,
    "worker": _worker,
}
