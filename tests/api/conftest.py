"""An API on a real database and a real Redis, and rows for it to show."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, insert, update
from werkzeug.routing import Rule

from api.app import create_app
from api.streams import Streams
from cli.ports import free_port
from store import aggregates, rollups
from store.aggregates import FIVE_MINUTES, HOUR
from store.engine import writing
from store.enrollment import enroll
from store.retention import make_partitions
from store.schema import events, host_details, host_state, hosts, snapshots
from store.settings import ServerSettings
from tests.api.served import Served
from tests.core import packed
from wire.metrics import INDEX, NAMES
from wire.snapshot import Details, encode_details

NOW = 1_800_000_000.0
TOKEN = "a token for tests"


class Rows:
    """Puts rows into the database as the workers would."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def host(self, name: str, **columns: Any) -> int:
        with writing(self._engine) as connection:
            tags = columns.pop("tags", ())
            host_id = enroll(connection, name, now=NOW - 3600, tags_of_host=tags).id
            if columns:
                connection.execute(update(hosts).where(hosts.c.id == host_id).values(columns))
        return host_id

    def snapshot(self, host_id: int, taken_at: float = NOW - 1, sequence: int = 1, **metrics: float | None) -> None:
        times = {"received_at": taken_at, "taken_at": taken_at, "interval_seconds": 5.0}
        place = {"host_id": host_id, "incarnation": 1, "sequence": sequence}
        with writing(self._engine) as connection:
            connection.execute(insert(snapshots), place | times | {"core": packed(**metrics)})
            connection.execute(update(host_state).where(host_state.c.host_id == host_id).values(times))

    def fives(
        self, host_id: int, start: float, end: float, mean: Callable[[float], float], metric: str = "cpu_percent"
    ) -> None:
        """Put the 5-minute means of a metric into the roll-ups."""
        self._rollups("rollups_5m", FIVE_MINUTES, host_id, start, end, mean, metric)

    def hours(
        self, host_id: int, start: float, end: float, mean: Callable[[float], float], metric: str = "cpu_percent"
    ) -> None:
        """Put the hourly means of a metric into the roll-ups."""
        self._rollups("rollups_1h", HOUR, host_id, start, end, mean, metric)

    def _rollups(
        self,
        table: rollups.Table,
        seconds: int,
        host_id: int,
        start: float,
        end: float,
        mean: Callable[[float], float],
        metric: str,
    ) -> None:
        at = np.arange(start // seconds * seconds, end, seconds)
        core = np.full((len(at), len(NAMES)), np.nan, np.float32)
        core[:, INDEX[metric]] = [mean(float(one)) for one in at]
        held = aggregates.of_snapshots(np.full(len(at), host_id, np.int64), at, core)
        make_partitions(self._engine, start)
        make_partitions(self._engine, end)
        with writing(self._engine) as connection:
            rollups.insert(connection, table, held)

    def details(self, host_id: int, details: Details | bytes, taken_at: float = NOW - 1) -> None:
        raw = details if isinstance(details, bytes) else bytes(encode_details(details))
        with writing(self._engine) as connection:
            connection.execute(insert(host_details), {"host_id": host_id, "taken_at": taken_at, "details": raw})

    def event(self, host_id: int, type: str = "cpu_high", opened_at: float = NOW - 60, **columns: Any) -> int:  # noqa: A002
        row = {
            "host_id": host_id,
            "type": type,
            "subject": "",
            "severity": "high",
            "state": "open",
            "limit_value": 85.0,
            "first_value": 90.0,
            "value": 91.0,
            "peak_value": 99.0,
            "peak_at": opened_at,
            "started_at": opened_at - 30,
            "opened_at": opened_at,
            "last_at": opened_at,
            "evidence": {},
        }
        with writing(self._engine) as connection:
            return connection.execute(insert(events).returning(events.c.id), row | columns).scalar_one()


@pytest.fixture(scope="session", autouse=True)
def routes_compiled_once() -> Iterator[None]:
    """For each app anew, Werkzeug compiles what builds a route's addresses: five times as long as all else it takes."""
    compile_builder = Rule._compile_builder
    compiled: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}

    def once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made_of = (*rule._trace, repr(rule.defaults), append_unknown)
        if made_of not in compiled:
            compiled[made_of] = compile_builder(rule, append_unknown)
        return compiled[made_of]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", once)
        yield


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return Rows(engine)


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> ServerSettings:
    environment = {
        "FLEETMEDIC_DATA_DIR": str(tmp_path),
        "FLEETMEDIC_DATABASE_URL": database_url,
        "FLEETMEDIC_REDIS_URL": redis_url,
        "FLEETMEDIC_ADMIN_TOKEN": TOKEN,
    }
    return ServerSettings.from_environment(environment)


@pytest.fixture
def make_client(settings: ServerSettings, engine: Engine) -> Callable[..., FlaskClient]:
    """Makes clients that send the token: of apps with another own host, database, clock, streams or settings."""

    def make(
        own_host: str | None = None,
        database: Engine = engine,
        now: Callable[[], float] = lambda: NOW,
        streams: Streams | None = None,
        **changes: Any,
    ) -> FlaskClient:
        app = create_app(dataclasses.replace(settings, **changes), database, own_host, now, streams=streams)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
        return client

    return make


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client()


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    """Where a SQLite database may be."""
    return tmp_path / "served.db"


@pytest.fixture
def database(database_path: Path) -> str:
    """The URL of an empty SQLite database."""
    return f"sqlite:///{database_path}"


@pytest.fixture
def upgraded(database: str, database_path: Path, sqlite_template: Path) -> str:
    """The same with all tables."""
    shutil.copy(sqlite_template, database_path)
    return database


@pytest.fixture
def serve(database: str, redis_url: str) -> Iterator[Callable[..., Served]]:
    """Starts API processes on that database, and ends those that are left."""
    started: list[Served] = []

    def start(port: int | None = None, host: str = "127.0.0.1", **changes: str) -> Served:
        environment = {"FLEETMEDIC_DATABASE_URL": database, "FLEETMEDIC_REDIS_URL": redis_url} | changes
        started.append(Served(port or free_port(), host, environment))
        return started[-1]

    yield start
    for server in started:
        server.end()
