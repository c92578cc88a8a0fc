"""Roll-ups: the tables of 5 minutes and of 1 hour, and how far each lane of hosts is."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from sqlalchemy import Connection

from store.aggregates import FIVE_MINUTES, HOUR, Aggregates, Stored, merged, pack, unpack
from store.arrays import Floats, Integers
from store.binary_copy import NULL_LENGTH, copy_in
from store.engine import driver_cursor
from store.rollup_backlog import HOSTS_IN_LANE, lane_of
from wire.metrics import NAMES

Table = Literal["rollups_5m", "rollups_1h"]

SECONDS: dict[Table, int] = {"rollups_5m": FIVE_MINUTES, "rollups_1h": HOUR}
"""How long a bucket of each table is."""

_COLUMNS = "host_id, start_at, snapshots, counts, aggregates"
_READ_POSTGRES = "SELECT {columns} FROM {table} WHERE host_id = ANY(%b) AND start_at >= %b AND start_at < %b"
_READ_SQLITE = """
    SELECT {columns} FROM {table}
    WHERE host_id IN (SELECT value FROM json_each(?)) AND start_at >= ? AND start_at < ?"""
_QUALIFIED = "r.host_id, r.start_at, r.snapshots, r.counts, r.aggregates"
# Of few buckets the many partitions that cannot have them are then left out from the start.
_TAKE_POSTGRES = """
    DELETE FROM {table} r USING unnest(%b, %b) AS u (host_id, start_at)
    WHERE r.host_id = u.host_id AND r.start_at = u.start_at AND r.start_at BETWEEN %b AND %b
    RETURNING {columns}"""
_TAKE_SQLITE = "DELETE FROM {table} WHERE host_id = ? AND start_at = ? RETURNING {columns}"


class Lane(NamedTuple):
    """A lane that this transaction holds."""

    id: int
    hours_until: float
    """The hours before are in the table of hours, in Unix seconds."""


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
        rows = connection.exec_driver_sql(query, (msgspec.json.encode(list(host_ids)).decode(), start, end)).fetchall()
    return unpack([Stored(*row) for row in rows], len(NAMES))


def lanes_due(connection: Connection, closed_until: float) -> list[int]:
    """Return the lanes that have anything to roll up in buckets that start before then, in Unix seconds."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    rows = connection.exec_driver_sql(
        f"SELECT lane FROM rollup_lanes l WHERE hours_until + {HOUR} <= {mark} OR EXISTS ("  # noqa: S608
        f"SELECT 1 FROM rollup_backlog b WHERE b.lane = l.lane AND b.start_at < {mark}) ORDER BY lane",
        (closed_until, closed_until),
    )
    return [row[0] for row in rows]


def add_lanes(connection: Connection, now: float) -> None:
    """Make the lanes of hosts that were enrolled since; their hours begin with the present one."""
    highest = connection.exec_driver_sql("SELECT max(id) FROM hosts").scalar()
    if highest is not None:
        known = {row[0] for row in connection.exec_driver_sql("SELECT lane FROM rollup_lanes")}
        mark = "%s" if connection.dialect.name == "postgresql" else "?"
        missing = [(lane, now // HOUR * HOUR) for lane in range(lane_of(highest) + 1) if lane not in known]
        if missing:
            connection.exec_driver_sql(
                f"INSERT INTO rollup_lanes (lane, hours_until) VALUES ({mark}, {mark}) ON CONFLICT DO NOTHING",  # noqa: S608
                missing,
            )


def hold_lane(connection: Connection, lane: int) -> Lane | None:
    """Lock a lane for this transaction; None where another one holds it."""
    query = "SELECT lane, hours_until FROM rollup_lanes WHERE lane = "
    if connection.dialect.name == "postgresql":
        row = connection.exec_driver_sql(f"{query} %s FOR UPDATE SKIP LOCKED", (lane,)).one_or_none()
    else:
        row = connection.exec_driver_sql(f"{query} ?", (lane,)).one_or_none()
    return Lane(*row) if row else None


def move_hours(connection: Connection, lane: Lane, hours_until: float) -> None:
    """Note that the hours of a lane are rolled up until then, in Unix seconds."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    connection.exec_driver_sql(
        f"UPDATE rollup_lanes SET hours_until = {mark} WHERE lane = {mark}",  # noqa: S608 - no value
        (hours_until, lane.id),
    )


def hosts_of_lane(connection: Connection, lane: int) -> list[int]:
    """Return the ids of the hosts in a lane, in order."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    rows = connection.exec_driver_sql(
        f"SELECT id FROM hosts WHERE id >= {mark} AND id < {mark} ORDER BY id",  # noqa: S608 - no value
        (lane * HOSTS_IN_LANE, (lane + 1) * HOSTS_IN_LANE),
    )
    return [row[0] for row in rows]


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
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    counts: np.ndarray[tuple[int, ...], np.dtype[np.int32]],
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
