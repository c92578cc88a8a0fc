"""Engines and transactions: the same calls, ``reading``, ``writing`` and ``noting``, on SQLite and on Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy.exc
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from wire.environment import SettingError

# A writer that resets the WAL while another checkpoints can corrupt the file: sqlite.org/wal.html, fixed in 3.51.3.
_FIRST_SAFE_SQLITE = (3, 51, 3)


# What the surroundings did, not the values of a statement: to be tried again as it is. A ProgrammingError is what
# Postgres says of tables that are of another version than this process, or that it may not use.
OUTAGES = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.ProgrammingError,
    sqlalchemy.exc.TimeoutError,
)


class UnsafeSqlite(RuntimeError):
    """The linked SQLite can corrupt a database in WAL mode."""


def connect(database_url: str) -> Engine:
    """Return the engine for a ``sqlite:///`` or ``postgresql://`` URL; nothing is opened yet.

    Raises UnsafeSqlite, and SettingError for a URL of another kind.
    """
    try:
        url = make_url(database_url)
    except Exception:  # noqa: BLE001 - the cause's message would show a password
        raise SettingError("FLEETMEDIC_DATABASE_URL is not a database URL") from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _connect_sqlite(str(url))
    if backend in ("postgresql", "postgres"):
        return _connect_postgres(url)
    raise SettingError(f"FLEETMEDIC_DATABASE_URL names {backend!r}: sqlite and postgresql are known")


def _connect_postgres(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        json_deserializer=msgspec.json.decode,
        connect_args={"connect_timeout": 5, "application_name": "fleetmedic", "client_encoding": "utf8"},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # A worker that is cut off in the middle of a drain must not hold its shards for as long as TCP may take.
        connection.execute("SET idle_in_transaction_session_timeout = '60s'")
        # The planner's default is a disk that seeks: it would rather read all hosts than look up a drain's.
        connection.execute("SET random_page_cost = 1.1")
        # No statement here runs long enough to earn its compilation.
        connection.execute("SET jit = off")
        connection.commit()

    return engine


def _connect_sqlite(url: str) -> Engine:
    from pysqlite3 import dbapi2

    if dbapi2.sqlite_version_info < _FIRST_SAFE_SQLITE:
        raise UnsafeSqlite(
            f"SQLite {dbapi2.sqlite_version} can corrupt a database in WAL mode: install pysqlite3 0.6.1 or newer"
        )
    engine = create_engine(url, module=dbapi2, json_deserializer=msgspec.json.decode)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # Autocommit in the driver: it would otherwise begin transactions of its own, and late.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A read that turns into a write fails at once, whatever the busy timeout: a writer says so from the start.
        immediate = connection.get_execution_options().get("fleetmedic_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that commits at the end, or rolls back when the block raises."""
    with engine.connect().execution_options(fleetmedic_writing=True) as connection, connection.begin():
        yield connection


@contextmanager
def noting(engine: Engine) -> Iterator[Connection]:
    """Open a transaction like ``writing``, whose commit a crash of the machine may undo, and nothing less.

    It waits for no disk: for notes that are of no use any more after such a crash.
    """
    if engine.dialect.name == "postgresql":
        with writing(engine) as connection:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection
        return
    with engine.connect().execution_options(fleetmedic_writing=True) as connection:
        # Past SQLAlchemy, which would begin the transaction: within one this cannot be set.
        settings = connection.connection.cursor()
        settings.execute("PRAGMA synchronous = NORMAL")
        try:
            with connection.begin():
                yield connection
        finally:
            settings.execute("PRAGMA synchronous = FULL")
            settings.close()


@contextmanager
def driver_cursor(connection: Connection) -> Iterator[Any]:
    """Open a cursor of the driver within the connection's transaction; its errors are raised as SQLAlchemy's."""
    driver = connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except driver.Error as error:
        # Mapped as Core would: callers then have one family of errors to tell apart.
        raise sqlalchemy.exc.DBAPIError.instance(
            None, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()
