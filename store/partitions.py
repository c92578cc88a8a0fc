"""Partitions on Postgres: made ahead, dropped whole when they are past their time.

A table has one partition a day or a month, named by it, and a default partition for rows of a time that has none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from store.engine import reading, writing

_DAYS_AHEAD = 3
_DELETE_ROWS = 5000
# Whoever waits for a table's lock makes everybody behind it wait: rather give up, and try again next time.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


@dataclass(frozen=True)
class Partitioned:
    """A table that is partitioned by a column of Unix seconds. The names are our own: nothing comes from outside."""

    table: str
    column: str
    by_month: bool = False

    def partition(self, moment: datetime) -> str:
        """Name the partition for rows of this time."""
        return f"{self.table}_{moment:{'%Y%m' if self.by_month else '%Y%m%d'}}"

    def _periods_ahead(self, now: float) -> Iterator[tuple[datetime, datetime]]:
        """Yield start and end of the present period and those that begin within the days ahead."""
        today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start = today.replace(day=1) if self.by_month else today
        while start <= today + timedelta(_DAYS_AHEAD):
            end = (start + timedelta(31)).replace(day=1) if self.by_month else start + timedelta(1)
            yield start, end
            start = end

    def make_ahead(self, engine: Engine, now: float) -> list[str]:
        """Make the partitions of today and the days ahead that are missing; return their names."""
        made = []
        for start, end in self._periods_ahead(now):
            with writing(engine) as connection:
                connection.exec_driver_sql(_LOCK_TIMEOUT)
                name = self.partition(start)
                if name not in self._partitions(connection):
                    # Nobody may write meanwhile: rows of that time in the default partition would forbid the new one.
                    connection.exec_driver_sql(f"LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE")
                    self._make(connection, name, start.timestamp(), end.timestamp())
                    made.append(name)
        return made

    def drop_past(self, engine: Engine, before: float) -> None:
        """Drop the partitions that hold nothing from ``before`` on; delete what is past from the default one."""
        last_kept = self.partition(datetime.fromtimestamp(before, UTC))
        with reading(engine) as connection:
            past = [name for name in self._partitions(connection) if name < last_kept]
        for name in past:
            with writing(engine) as connection:
                connection.exec_driver_sql(_LOCK_TIMEOUT)
                connection.exec_driver_sql(f"DROP TABLE {name}")
        deleted = _DELETE_ROWS
        while deleted == _DELETE_ROWS:
            with writing(engine) as connection:
                deleted = connection.exec_driver_sql(
                    f"DELETE FROM {self.table}_default WHERE ctid = ANY(ARRAY("  # noqa: S608
                    f"SELECT ctid FROM {self.table}_default WHERE {self.column} < %s LIMIT %s))",
                    (before, _DELETE_ROWS),
                ).rowcount

    def _partitions(self, connection: Connection) -> list[str]:
        rows = connection.exec_driver_sql(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass AND c.relname <> %s ORDER BY 1",
            (self.table, f"{self.table}_default"),
        )
        return [row[0] for row in rows]

    def _make(self, connection: Connection, name: str, start: float, end: float) -> None:
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {self.table} INCLUDING DEFAULTS)")
        # Those that came before it move over.
        connection.exec_driver_sql(
            f"WITH moved AS (DELETE FROM {self.table}_default WHERE {self.column} >= {start} "  # noqa: S608
            f"AND {self.column} < {end} RETURNING *) INSERT INTO {name} SELECT * FROM moved"
        )
        connection.exec_driver_sql(
            f"ALTER TABLE {self.table} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
        )
