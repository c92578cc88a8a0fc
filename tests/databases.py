"""Postgres databases with all tables, for one test after another: to empty one costs a tenth of making another."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine

from store.benchmark import temporary_database
from store.engine import connect, driver_cursor, writing

_SHAPE = """
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, relkind, attname, atttypid, attnotnull)
    FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', conname, conrelid::regclass) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines (line)
"""
_END_CONNECTIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_WRITTEN = """
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
"""
_START_SEQUENCES = """
SELECT setval(oid, 1, false) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
"""


class Databases:
    """Lends copies of the database ``template``; the same one again as long as tests leave its tables as they are."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url, self._template = server_url, template
        self._stack = ExitStack()
        self._kept: Engine | None = None

    @contextmanager
    def one(self) -> Iterator[str]:
        """Give the URL of a copy that nobody else has."""
        engine = self._kept or self._make()
        self._kept = None
        yield engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with writing(engine) as connection:
            connection.exec_driver_sql(_END_CONNECTIONS)
            is_reusable = connection.exec_driver_sql(_SHAPE).scalar_one() == self._shape
            if is_reusable:
                self._empty(connection)
        if is_reusable:
            self._kept = engine
        else:
            engine.dispose()
            self.close()

    def close(self) -> None:
        """Drop what is not lent."""
        if self._kept:
            self._kept.dispose()
        self._stack.close()

    def _make(self) -> Engine:
        engine = connect(self._stack.enter_context(temporary_database(self._server_url, self._template)))
        with writing(engine) as connection:
            self._shape = connection.exec_driver_sql(_SHAPE).scalar_one()
            self._rows = {table: _copy_out(connection, table) for table in _written(connection)}
        engine.dispose()
        return engine

    def _empty(self, connection: Connection) -> None:
        written = _written(connection)
        if written:
            # TRUNCATE makes new files for every table and index. As a replica it checks no keys: any order will do.
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("; ".join(f"DELETE FROM {table}" for table in written))
        for table, rows in self._rows.items():
            with driver_cursor(connection) as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                copy.write(rows)
        connection.exec_driver_sql(_START_SEQUENCES)


def _written(connection: Connection) -> list[str]:
    return list(connection.exec_driver_sql(_WRITTEN).scalars())


def _copy_out(connection: Connection, table: str) -> bytes:
    with driver_cursor(connection) as cursor, cursor.copy(f"COPY {table} TO STDOUT") as copy:
        return b"".join(copy)
