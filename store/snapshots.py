"""Snapshots: their bulk insert, and reads of some metrics of one host's, and of the last one of hosts.

They are written by a binary COPY whose bytes NumPy makes on Postgres, as tuples on SQLite.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, and_, literal_column, select

from store.binary_copy import copy_in
from store.engine import driver_cursor
from store.packed import Part
from store.schema import host_state, snapshots

_KINDS = {
    "host_id": ">i8",
    "incarnation": ">i8",
    "sequence": ">i8",
    "received_at": ">f8",
    "taken_at": ">f8",
    "interval_seconds": ">f4",
    "core": ">f4",
}
_COLUMNS = ", ".join(_KINDS)

# No snapshot was taken later than this after it was received: worker.clocks.
_CLOCK_TOLERANCE_SECONDS = 10.0


@dataclass(frozen=True)
class SnapshotRows:
    """Snapshots as columns of n rows; times in Unix seconds, NaN in ``core`` (n × metrics) for missing."""

    host_id: NDArray[np.int64]
    incarnation: NDArray[np.int64]
    sequence: NDArray[np.int64]
    received_at: float
    taken_at: NDArray[np.float64]
    interval_seconds: NDArray[np.float32]
    core: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.host_id)


def insert_snapshots(connection: Connection, rows: SnapshotRows) -> None:
    """Write the snapshots."""
    if not len(rows):
        return
    if connection.dialect.name == "postgresql":
        copy_in(connection, "snapshots", _COLUMNS, copy_rows(rows))
        return
    places = ", ".join("?" * len(_KINDS))
    packed = np.ascontiguousarray(rows.core, ">f4")
    connection.exec_driver_sql(
        f"INSERT INTO snapshots ({_COLUMNS}) VALUES ({places})",  # noqa: S608 - our own column names
        list(
            zip(
                rows.host_id.tolist(),
                rows.incarnation.tolist(),
                rows.sequence.tolist(),
                [rows.received_at] * len(rows),
                rows.taken_at.tolist(),
                rows.interval_seconds.tolist(),
                # Each row as its bytes.
                packed.view(f"V{packed.strides[0]}")[:, 0].tolist(),
                strict=True,
            )
        ),
    )


def copy_rows(rows: SnapshotRows) -> bytes:
    """Return the rows in COPY's binary format: each a field count, then length and big-endian value of each column."""
    row: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [("fields", ">i2")]
    for name, kind in _KINDS.items():
        row += [(f"{name} length", ">i4"), (name, kind, rows.core.shape[1:] if name == "core" else ())]
    table = np.empty(len(rows), np.dtype(row))
    table["fields"] = len(_KINDS)
    for name in _KINDS:
        table[f"{name} length"] = table.dtype[name].itemsize
        table[name] = getattr(rows, name)
    return table.tobytes()


def of_host(
    connection: Connection, host_id: int, names: Sequence[str], start: float, end: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return when a host's snapshots were taken from ``start`` to before ``end``, in the order of time.

    And their metrics of these names (n, names), NaN for missing.
    """
    part = Part(names)
    mark = "%b" if connection.dialect.name == "postgresql" else "?"
    # By receive time: of the partitions, those alone that can have them.
    query = f"""
        SELECT taken_at, {part.sql("core")} FROM snapshots
        WHERE host_id = {mark} AND taken_at >= {mark} AND taken_at < {mark} AND received_at >= {mark}
        ORDER BY taken_at"""  # noqa: S608 - no value
    given = (host_id, start, end, start - _CLOCK_TOLERANCE_SECONDS)
    with driver_cursor(connection) as cursor:
        if connection.dialect.name == "postgresql":
            cursor.execute(query, given, binary=True)
        else:
            cursor.execute(query, given)
        rows = cursor.fetchall()
    return np.array([row[0] for row in rows], np.float64), part.read([row[1] for row in rows])


def latest(connection: Connection, host_ids: Sequence[int], names: Sequence[str]) -> dict[int, NDArray[np.float32]]:
    """Return the metrics of these names of the last snapshot of each host that has one, NaN for missing.

    Two snapshots of a host can bear the same time (its clock was corrected): the later one in its order wins.
    """
    part = Part(names)
    is_last = and_(host_state.c.host_id == snapshots.c.host_id, host_state.c.taken_at == snapshots.c.taken_at)
    query = (
        select(snapshots.c.host_id, literal_column(part.sql("core"), LargeBinary))
        .join(host_state, is_last)
        .where(host_state.c.host_id.in_(host_ids))
        .order_by(snapshots.c.incarnation, snapshots.c.sequence)
    )
    rows = connection.execute(query).all()
    return dict(zip([row[0] for row in rows], part.read([row[1] for row in rows]), strict=True))
