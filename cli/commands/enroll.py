"""``fleetmedic enroll NAME``: let a host in, and say what to run there."""

import json
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.arguments import add_data_dir, interval
from cli.errors import CommandFailed
from cli.server_file import find_server, read_server_file
from wire.environment import data_dir
from wire.redis_url import authorities

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import Connection

    from store.enrollment import EnrolledHost


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="letters, digits, dots, dashes, underscores; not all digits")
    parser.add_argument("--tag", action="append", default=[], metavar="T", help="a group it belongs to; repeatable")
    parser.add_argument(
        "--service", action="append", default=[], metavar="S", help="a systemd unit that must run; repeatable"
    )
    parser.add_argument(
        "--interval", type=interval, metavar="S", help="seconds between its snapshots (default: its own, 30)"
    )
    parser.add_argument(
        "--redis-url",
        metavar="URL",
        help="how the host reaches the server's Redis (default: the address it listens on)",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print {id, name, host_key, redis_url}")
    shown.add_argument(
        "--key-file",
        type=Path,
        metavar="F",
        help="write the host's key into F instead of printing it, unless F holds the key of a host already; "
        "renew the access of all hosts to Redis",
    )
    add_data_dir(parser)


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Enroll the host in the database and in Redis, both or neither."""
    from redis import RedisError

    import migrations
    from cli.database import open_database
    from cli.redis_users import connect_to_enroll
    from store.engine import writing
    from store.enrollment import EnrollmentRefused
    from store.settings import ServerSettings
    from wire.hostkey import format_host_key

    known = find_server(environment, arguments.data_dir)
    settings = ServerSettings.from_environment(known)
    url = arguments.redis_url or _collector_redis_url(known, settings.redis_url)
    try:
        authorities(url)
    except ValueError as error:
        raise CommandFailed(f"--redis-url: {error}") from None
    try:
        with open_database(known) as engine, connect_to_enroll(settings.redis_url) as redis:
            # Before the transaction: a Redis that does not answer must not hold the database's lock.
            redis.ping()
            if migrations.current(engine) != migrations.head():
                raise CommandFailed("the database is not at this version: run `fleetmedic db upgrade`")
            with writing(engine) as connection:
                if arguments.key_file and (name := _renewed(arguments.key_file, connection, redis)):
                    print(f"{name} is enrolled, its key is in {arguments.key_file}")
                    return 0
                host, lasting = _let_in(arguments, connection, redis)
    except EnrollmentRefused as error:
        raise CommandFailed(str(error)) from None
    except (RedisError, ValueError) as error:
        raise CommandFailed(f"the Redis of the server cannot be used: {error}") from None
    except OSError as error:
        raise CommandFailed(f"--key-file: {arguments.key_file} cannot be written: {error.strerror}") from None
    if not lasting:
        print(
            "fleetmedic: that Redis has no aclfile: this host's access is gone when it restarts, and comes back with "
            "the next start of `fleetmedic up`",
            file=sys.stderr,
        )
    host_key = format_host_key(host.id, host.key)
    if arguments.key_file:
        print(f"{host.name} is enrolled, its key is in {arguments.key_file}")
    elif arguments.json:
        print(json.dumps({"id": host.id, "name": host.name, "host_key": host_key, "redis_url": url}, indent=2))
    else:
        print(_instructions(host.name, url, host_key))
    return 0


def _let_in(arguments: Namespace, connection: "Connection", redis: "Redis") -> "tuple[EnrolledHost, bool]":
    """Make the host; return it, and whether its access outlives a restart of Redis."""
    from cli.own_host import keep_key
    from cli.redis_users import ensure_redis_users
    from store.enrollment import enroll
    from wire import keys
    from wire.config import HostConfig, encode_config

    host = enroll(
        connection,
        arguments.name,
        now=time.time(),
        tags_of_host=arguments.tag,
        services=arguments.service,
        interval_seconds=arguments.interval,
    )
    lasting = ensure_redis_users(redis, [(host.id, host.key)])
    config = HostConfig(interval_seconds=arguments.interval, services=tuple(arguments.service))
    redis.set(keys.config(host.id), encode_config(config))
    if arguments.key_file:
        # Last, since a collector may be waiting for it.
        keep_key(arguments.key_file, host)
    return host, lasting


def _renewed(key_file: Path, connection: "Connection", redis: "Redis") -> str | None:
    """Renew the access of all hosts to Redis; return the name of the host whose key is in the file, if one's is."""
    from cli.own_host import kept_host
    from cli.redis_users import ensure_redis_users
    from store.enrollment import enrolled_hosts

    enrolled = enrolled_hosts(connection)
    ensure_redis_users(redis, [(host.id, host.key) for host in enrolled])
    kept = kept_host(enrolled, key_file)
    return kept.name if kept else None


def _collector_redis_url(known: Mapping[str, str], server_url: str) -> str:
    server = read_server_file(data_dir(known))
    if server is not None and server.redis_url == server_url:
        return server.collector_redis_url
    from cli.redis_server import without_credentials

    return without_credentials(server_url)


def _instructions(name: str, url: str, host_key: str) -> str:
    lines = [
        f"{name} is enrolled. On that machine, in a copy of {_source()}:",
        "",
        "  python3 -m venv .venv && .venv/bin/pip install .",
        f"  FLEETMEDIC_REDIS_URL={shlex.quote(url)} FLEETMEDIC_HOST_KEY={shlex.quote(host_key)} "
        ".venv/bin/fleetmedic collector",
        "",
        "The key is that machine's secret: it is shown only now.",
    ]
    file = authorities(url)
    if file is not None:
        lines.append(
            f"Before that, copy {file} to the same place on that machine: it tells the real server from a false one by "
            "it, and it is no secret."
        )
    host = urlsplit(url).hostname
    if host in ("localhost", "::1") or (host or "").startswith("127."):
        lines.append(
            "Note: Redis listens on this machine only. For another machine, start `fleetmedic up` again with --host "
            "and an address of this one that it reaches, and put it into FLEETMEDIC_REDIS_URL; the key stays good."
        )
    return "\n".join(lines)


def _source() -> str:
    folder = Path(__file__).parents[2]
    return str(folder) if (folder / "pyproject.toml").exists() else "Fleetmedic's source folder"
