"""Keeping raw snapshots for their time and no longer: daily partitions on Postgres, bounded deletes on SQLite."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from store.engine import reading, writing

_DAYS_AHEAD = 3
_DELETE_ROWS = 5000
_PARTITION = "snapshots_%Y%m%d"
# Whoever waits for a table's lock makes everybody behind it wait: rather give up, and try again next time.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


def make_partitions(engine: Engine, now: float) -> list[str]:
    """Make the partitions of today and the days ahead that are missing, on Postgres; return their names."""
    if engine.dialect.name != "postgresql":
        return []
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    made = []
    for day in (today + timedelta(days) for days in range(_DAYS_AHEAD + 1)):
        with writing(engine) as connection:
            connection.exec_driver_sql(_LOCK_TIMEOUT)
            name = day.strftime(_PARTITION)
            if name not in _partitions(connection):
                # Nobody may write meanwhile: rows of that day in the default partition would forbid the new one.
                connection.exec_driver_sql("LOCK TABLE snapshots IN SHARE ROW EXCLUSIVE MODE")
                _make_partition(connection, name, day.timestamp(), (day + timedelta(1)).timestamp())
                made.append(name)
    return made


def drop_snapshots(engine: Engine, before: float) -> int:
    """Delete what was received before then, on Postgres whole days only; return how many days or rows went."""
    return _drop_partitions(engine, before) if engine.dialect.name == "postgresql" else _delete_rows(engine, before)


def _partitions(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'snapshots'::regclass AND c.relname <> 'snapshots_default' ORDER BY 1"
    )
    return [row[0] for row in rows]


def _make_partition(connection: Connection, name: str, start: float, end: float) -> None:
    # The name and the bounds are made of a date: nothing here comes from outside.
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE snapshots INCLUDING DEFAULTS)")
    # Those that came before it move over.
    connection.exec_driver_sql(
        f"WITH moved AS (DELETE FROM snapshots_default WHERE received_at >= {start} AND received_at < {end} "  # noqa: S608
        f"RETURNING *) INSERT INTO {name} SELECT * FROM moved"
    )
    connection.exec_driver_sql(f"ALTER TABLE snapshots ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})")


def _drop_partitions(engine: Engine, before: float) -> int:
    last_kept = datetime.fromtimestamp(before, UTC).strftime(_PARTITION)
    with reading(engine) as connection:
        past = [name for name in _partitions(connection) if name < last_kept]
    for name in past:
        with writing(engine) as connection:
            connection.exec_driver_sql(_LOCK_TIMEOUT)
            connection.exec_driver_sql(f"DROP TABLE {name}")
    return len(past)


def _delete_rows(engine: Engine, before: float) -> int:
    total = 0
    while True:
        # A short transaction each, so that drains come in between. Rows were inserted in the order of receipt.
        with writing(engine) as connection:
            deleted = connection.exec_driver_sql(
                "DELETE FROM snapshots WHERE received_at < ? AND rowid IN "
                "(SELECT rowid FROM snapshots ORDER BY rowid LIMIT ?)",
                (before, _DELETE_ROWS),
            ).rowcount
        total += deleted
        if deleted < _DELETE_ROWS:
            return total
