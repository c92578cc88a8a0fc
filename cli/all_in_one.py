"""What ``up`` starts, in which order, and what it tells about it."""

import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import redis

from cli.api_client import ApiClient
from cli.errors import CommandFailed
from cli.loading import loading
from cli.own_redis import prepare_redis
from cli.ports import is_wildcard
from cli.private_files import kept_secret
from cli.redis_server import RedisServer, wait_until_answering, without_credentials
from cli.redis_users import connect_to_enroll, ensure_redis_users
from cli.server_file import ServerFile, write_server_file
from cli.supervisor import Supervisor
from cli.tables import percent
from store.settings import ServerSettings
from wire.environment import data_dir, redis_url
from wire.hostkey import format_host_key

Say = Callable[[str], None]

# What the collector has no need to know.
_SERVER_ONLY = ("FLEETMEDIC_ADMIN_TOKEN", "FLEETMEDIC_DATABASE_URL")
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What ``up`` was asked for."""

    folder: Path
    environment: Mapping[str, str]
    host: str
    port: int
    redis_port: int | None
    """None for the one of before."""
    interval_seconds: float
    """Between snapshots of this machine."""

    @property
    def api_url(self) -> str:
        """Where this machine reaches the API."""
        host = "127.0.0.1" if is_wildcard(self.host) else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def serve(plan: Plan, supervisor: Supervisor, say: Say) -> NoReturn:
    """Start all parts and keep them running, until an exception ends it. Raises CommandFailed."""
    logs = plan.folder / "logs"
    logs.mkdir(exist_ok=True)

    def start(name: str, environment: Mapping[str, str], *options: str) -> None:
        command = [sys.executable, "-m", "cli.main", name, *options]
        supervisor.start(name, command, environment, logs / f"{name}.log")

    server_url, collector_url = _start_redis(plan, supervisor, say)
    token = plan.environment.get("FLEETMEDIC_ADMIN_TOKEN") or kept_secret(plan.folder / "admin-token")
    environment = {**plan.environment, "FLEETMEDIC_REDIS_URL": server_url, "FLEETMEDIC_ADMIN_TOKEN": token}
    settings = ServerSettings.from_environment(environment)
    # Both wait for the database by themselves; until it is there they import what they need.
    start("worker", environment)
    start("api", environment, "--host", plan.host, "--port", str(plan.port))
    prepared = _prepare_database(plan, environment, server_url, say)
    known_to_collector = {name: value for name, value in plan.environment.items() if name not in _SERVER_ONLY}
    start(
        "collector",
        {
            "FLEETMEDIC_FIRST_INTERVAL": "1",
            **known_to_collector,
            "FLEETMEDIC_INTERVAL": f"{plan.interval_seconds:g}",
            "FLEETMEDIC_REDIS_URL": without_credentials(server_url),
            "FLEETMEDIC_HOST_KEY": prepared.host_key,
        },
    )
    server = ServerFile(os.getpid(), plan.api_url, token, server_url, settings.database_url, collector_url)
    write_server_file(plan.folder, server)
    say("worker, API and collector started")
    supervisor.watch(_Opening(plan, ApiClient(plan.api_url, token), prepared, say).look)


def _start_redis(plan: Plan, supervisor: Supervisor, say: Say) -> tuple[str, str]:
    """Return the URLs of a Redis that answers, for the server and for collectors: its own or the one that is set."""
    if plan.environment.get("FLEETMEDIC_REDIS_URL"):
        given = redis_url(plan.environment)
        _check_given_redis(given)
        say(f"Redis at {without_credentials(given)}, from FLEETMEDIC_REDIS_URL")
        return given, without_credentials(given)
    own = prepare_redis(plan.folder / "redis", plan.host, plan.redis_port)
    process = supervisor.start("redis", own.command, plan.environment, own.folder / "redis.log")
    wait_until_answering(RedisServer(process, own.url), own.folder)
    say(f"Redis at {own.collector_url}")
    return own.url, own.collector_url


def _check_given_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, retry=None, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise CommandFailed(f"FLEETMEDIC_REDIS_URL: that Redis cannot be used: {error}") from None


@dataclass(frozen=True)
class _Prepared:
    """What the database holds for this start."""

    host_id: int
    name: str
    """Of this machine as a host."""
    host_key: str
    link: str
    """Lets a browser in."""


def _prepare_database(plan: Plan, environment: Mapping[str, str], server_url: str, say: Say) -> _Prepared:
    """Upgrade the database and let this machine in, and one browser."""
    # Here and not above: while these are imported, Redis, worker and API are on their way already.
    with loading():
        import migrations
        from cli.database import open_database
        from cli.own_host import ensure_own_host
        from cli.sign_in import sign_in_link
        from store.engine import writing
        from store.enrollment import enrolled_hosts

    with open_database(environment) as engine:
        migrations.wait_until_reachable(engine, say)
        migrations.upgrade(engine)
        say(f"database {engine.url.render_as_string()}")
        with writing(engine) as connection:
            enrolled = enrolled_hosts(connection)
            own = ensure_own_host(connection, enrolled, plan.folder / "host-key", socket.gethostname(), time.time())
            link = sign_in_link(connection, plan.api_url, time.time())
    with connect_to_enroll(server_url) as client:
        # A Redis that lost its data, or has no file for users, knows nobody: the database does.
        users = {host.id: host.key for host in (*enrolled, own)}
        if not ensure_redis_users(client, list(users.items())):
            say("that Redis has no aclfile: when it restarts, no collector gets in until `up` is started again")
    say(f"this machine is host {own.name}, a snapshot every {plan.interval_seconds:g} s")
    return _Prepared(own.id, own.name, format_host_key(own.id, own.key), link)


class _Opening:
    """Tells, once each, that the API answers and that this machine's first snapshot is stored."""

    def __init__(self, plan: Plan, api: ApiClient, prepared: _Prepared, say: Say) -> None:
        self._plan = plan
        self._api = api
        self._prepared = prepared
        self._say = say
        self._began = time.monotonic()
        self._began_at = time.time()
        self._answered = False
        self._done = False
        self._warned = False

    def look(self) -> None:
        """Ask the API what there is to tell; cheap once all is told."""
        if self._done:
            return
        try:
            host = self._api.get(f"/api/v1/hosts/{self._prepared.host_id}")
        except CommandFailed:
            # Not yet; what stays wrong is in the logs.
            host = None
        if host is not None and not self._answered:
            self._answered = True
            self._say(f"API at {self._plan.api_url}")
        seen = host and host["last_seen"]
        if host and seen and datetime.fromisoformat(seen).timestamp() >= self._began_at:
            self._done = True
            shown = ", ".join(
                f"{label} {percent(host['metrics'][metric])}"
                for label, metric in (("CPU", "cpu_percent"), ("memory", "memory_percent"), ("disk", "disk_percent"))
            )
            self._say(f"first snapshot of {self._prepared.name} stored: {shown}")
            print(_welcome(self._plan, self._prepared.link), flush=True)
        elif not self._warned and time.monotonic() - self._began > _PATIENCE_SECONDS:
            self._warned = True
            self._say(f"no snapshot is stored yet: {self._plan.folder / 'logs'} tells why")


def _welcome(plan: Plan, link: str) -> str:
    command = sys.argv[0] if Path(sys.argv[0]).name == "fleetmedic" else "fleetmedic"
    # Another terminal may not have this one's environment.
    unset = {name: value for name, value in plan.environment.items() if name != "FLEETMEDIC_DATA_DIR"}
    where = "" if plan.folder == data_dir(unset) else f" --data-dir {shlex.quote(str(plan.folder))}"
    token = (
        "in FLEETMEDIC_ADMIN_TOKEN" if plan.environment.get("FLEETMEDIC_ADMIN_TOKEN") else plan.folder / "admin-token"
    )
    return f"""
Open     {link}
Link     {command} link{where}  (another one: each is good once, for an hour)
API      {plan.api_url}
Token    {token}
Hosts    {command} hosts{where}
Events   {command} events --follow{where}
Enroll   {command} enroll NAME{where}

Ctrl-C stops it."""
