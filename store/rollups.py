"""Roll-ups: the tables of 5 minutes and of 1 hour."""

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from store.aggregates import FIVE_MINUTES, HOUR, Aggregates, Stored, merged, pack, unpack
from store.arrays import Floats, Integers, as_json
from store.binary_copy import NULL_LENGTH, copy_in
from store.engine import driver_cursor
from store.packed import matrix
from wire.metrics import NAMES

Table = Literal["rollups_5m", "rollups_1h"]

SECONDS: dict[Table, int] = {"rollups_5m": FIVE_MINUTES, "rollups_1h": HOUR}
"""How long a bucket of each table is."""

_COLUMNS = "host_id, start_at, snapshots, counts, aggregates"
_READ_POSTGRES = "SELECT {columns} FROM {table} WHERE host_id = ANY(%b) AND start_at >= %b AND start_at < %b"
_READ_SQLITE = """
    SELECT {columns} FROM {table}
    WHERE host_id IN (SELECT value FROM json_each(?)) AND start_at >= ? AND start_at < ?"""
_VALUES_POSTGRES = "SELECT host_id, aggregates FROM {table} WHERE host_id = ANY(%b) AND start_at = %b"
_VALUES_SQLITE = """
    SELECT host_id, aggregates FROM {table} WHERE host_id IN (SELECT value FROM json_each(?)) AND start_at = ?"""
_PICK_POSTGRES = "SELECT {columns} FROM {table} WHERE host_id = ANY(%b) AND start_at = ANY(%b)"
_PICK_SQLITE = """
    SELECT {columns} FROM {table} WHERE host_id IN (SELECT value FROM json_each(?))
    AND start_at IN (SELECT value FROM json_each(?))"""
_QUALIFIED = "r.host_id, r.start_at, r.snapshots, r.counts, r.aggregates"
# Of few buckets the many partitions that cannot have them are then left out from the start.
_TAKE_POSTGRES = """
    DELETE FROM {table} r USING unnest(%b, %b) AS u (host_id, start_at)
    WHERE r.host_id = u.host_id AND r.start_at = u.start_at AND r.start_at BETWEEN %b AND %b
    RETURNING {columns}"""
_TAKE_SQLITE = "DELETE FROM {table} WHERE host_id = ? AND start_at = ? RETURNING {columns}"


def add(connection: Connection, table: Table, aggregates: Aggregates) -> None:
    """Add to what the table has of these hosts and buckets."""
    if len(aggregates):
        there = _take(connection, table, aggregates)
        insert(connection, table, merged([aggregates, unpack(there, len(NAMES))]) if there else aggregates)


def read_hosts(connection: Connection, table: Table, host_ids: Sequence[int], start: float, end: float) -> Aggregates:
    """Return what the table has of these hosts from ``start`` to before ``end``, in Unix seconds."""
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            query = _READ_POSTGRES.format(table=table, columns=_COLUMNS)
            cursor.execute(query, (Integers(host_ids), start, end), binary=True)
            rows = cursor.fetchall()
    else:
        query = _READ_SQLITE.format(table=table, columns=_COLUMNS)
        rows = connection.exec_driver_sql(query, (as_json(host_ids), start, end)).fetchall()
    return unpack(list(map(Stored._make, rows)), len(NAMES))


def read_values(
    connection: Connection, table: Table, host_ids: Sequence[int], start_at: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the hosts of these that the table has a bucket of that starts then, and its values.

    Averages, minima and maxima (hosts, 3, metrics), NaN for missing.
    """
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(_VALUES_POSTGRES.format(table=table), (Integers(host_ids), start_at), binary=True)
            rows = cursor.fetchall()
    else:
        rows = connection.exec_driver_sql(_VALUES_SQLITE.format(table=table), (as_json(host_ids), start_at)).fetchall()
    values = matrix([row[1] for row in rows], "<f4", 3, len(NAMES), np.nan)
    return np.array([row[0] for row in rows], np.int64), values


def read_buckets(
    connection: Connection, table: Table, host_ids: Collection[int], starts: Collection[float]
) -> Aggregates:
    """Return what the table has of these hosts in the buckets that start then, in Unix seconds."""
    hosts, moments = sorted(host_ids), sorted(starts)
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            query = _PICK_POSTGRES.format(table=table, columns=_COLUMNS)
            cursor.execute(query, (Integers(hosts), Floats(moments)), binary=True)
            rows = cursor.fetchall()
    else:
        query = _PICK_SQLITE.format(table=table, columns=_COLUMNS)
        given = (as_json(hosts), msgspec.json.encode(moments).decode())
        rows = connection.exec_driver_sql(query, given).fetchall()
    return unpack(list(map(Stored._make, rows)), len(NAMES))


def _take(connection: Connection, table: Table, of: Aggregates) -> list[Stored]:
    host_ids, starts = of.host_id.tolist(), of.start_at.tolist()
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(
                _TAKE_POSTGRES.format(table=table, columns=_QUALIFIED),
                (Integers(host_ids), Floats(starts), min(starts), max(starts)),
                binary=True,
            )
            return [Stored(*row) for row in cursor.fetchall()]
    statement = _TAKE_SQLITE.format(table=table, columns=_COLUMNS)
    with driver_cursor(connection) as cursor:
        return [Stored(*row) for key in zip(host_ids, starts, strict=True) for row in cursor.execute(statement, key)]


def insert(connection: Connection, table: Table, aggregates: Aggregates) -> None:
    """Write aggregates of hosts and buckets that the table does not have yet."""
    values, is_partial = pack(aggregates)
    counts = aggregates.count.astype("<i4")
    if connection.dialect.name == "postgresql":
        body = b"".join(
            _copy_rows(aggregates.where(some), values[some], counts[some], with_counts)
            for with_counts, some in ((False, ~is_partial), (True, is_partial))
        )
        copy_in(connection, table, _COLUMNS, body)
        return
    connection.exec_driver_sql(
        f"INSERT INTO {table} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - names of our own
        [
            (host_id, start_at, snapshots, count.tobytes() if partial else None, aggregate.tobytes())
            for host_id, start_at, snapshots, count, aggregate, partial in zip(
                aggregates.host_id.tolist(),
                aggregates.start_at.tolist(),
                aggregates.snapshots.tolist(),
                counts,
                values,
                is_partial.tolist(),
                strict=True,
            )
        ],
    )


def _copy_rows(
    aggregates: Aggregates,
    values: NDArray[np.float32],
    counts: NDArray[np.int32],
    with_counts: bool,
) -> bytes:
    metrics = counts.shape[1]
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("fields", ">i2")]
    columns = {
        "host_id": (">i8", aggregates.host_id),
        "start_at": (">f8", aggregates.start_at),
        "snapshots": (">i4", aggregates.snapshots),
    }
    for name, (kind, _) in columns.items():
        fields += [(f"{name} length", ">i4"), (name, kind)]
    fields += [("counts length", ">i4")]
    if with_counts:
        fields += [("counts", "<i4", (metrics,))]
    fields += [("aggregates length", ">i4"), ("aggregates", "<f4", (3, metrics))]
    table = np.empty(len(aggregates), np.dtype(fields))
    table["fields"] = 5
    for name, (_, column) in columns.items():
        table[name] = column
        table[f"{name} length"] = table.dtype[name].itemsize
    table["counts length"] = 4 * metrics if with_counts else NULL_LENGTH
    if with_counts:
        table["counts"] = counts
    table["aggregates length"] = 12 * metrics
    table["aggregates"] = values
    return table.tobytes()
