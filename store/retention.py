"""Keeping history for its time and no longer: whole partitions on Postgres, bounded deletes on SQLite."""

import msgspec
from sqlalchemy import Engine

from store.engine import reading, writing
from store.partitions import Partitioned
from store.settings import Retention

# By receive time: a host with a wrong clock can then not miss every partition.
_SNAPSHOTS = Partitioned("snapshots", "received_at")
_FIVE_MINUTES = Partitioned("rollups_5m", "start_at")
_HOURS = Partitioned("rollups_1h", "start_at", by_month=True)
_DELETE_ROWS = 5000
_DELETE_HOSTS = 500


def make_partitions(engine: Engine, now: float) -> list[str]:
    """Make the partitions of today and the days ahead that are missing, on Postgres; return their names."""
    if engine.dialect.name != "postgresql":
        return []
    return [name for table in (_SNAPSHOTS, _FIVE_MINUTES, _HOURS) for name in table.make_ahead(engine, now)]


def drop_past(engine: Engine, keep: Retention, now: float) -> None:
    """Delete the history that is past its time, on Postgres in whole days, and the hours in whole months."""
    if engine.dialect.name == "postgresql":
        _SNAPSHOTS.drop_past(engine, now - keep.raw_seconds)
        _FIVE_MINUTES.drop_past(engine, now - keep.five_minutes_seconds)
        _HOURS.drop_past(engine, now - keep.hour_seconds)
    else:
        _delete_snapshots(engine, now - keep.raw_seconds)
        _delete_rollups(engine, "rollups_5m", now - keep.five_minutes_seconds)
        _delete_rollups(engine, "rollups_1h", now - keep.hour_seconds)


def _delete_snapshots(engine: Engine, before: float) -> None:
    deleted = _DELETE_ROWS
    while deleted == _DELETE_ROWS:
        # A short transaction each, so that drains come in between. Rows were inserted in the order of receipt.
        with writing(engine) as connection:
            deleted = connection.exec_driver_sql(
                "DELETE FROM snapshots WHERE received_at < ? AND rowid IN "
                "(SELECT rowid FROM snapshots ORDER BY rowid LIMIT ?)",
                (before, _DELETE_ROWS),
            ).rowcount


def _delete_rollups(engine: Engine, table: str, before: float) -> None:
    with reading(engine) as connection:
        host_ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM hosts ORDER BY id")]
    for place in range(0, len(host_ids), _DELETE_HOSTS):
        some = msgspec.json.encode(host_ids[place : place + _DELETE_HOSTS]).decode()
        deleted = _DELETE_ROWS
        while deleted == _DELETE_ROWS:
            with writing(engine) as connection:
                deleted = connection.exec_driver_sql(
                    f"DELETE FROM {table} WHERE (host_id, start_at) IN (SELECT host_id, start_at FROM {table} "  # noqa: S608
                    "WHERE host_id IN (SELECT value FROM json_each(?)) AND start_at < ? LIMIT ?)",
                    (some, before, _DELETE_ROWS),
                ).rowcount
