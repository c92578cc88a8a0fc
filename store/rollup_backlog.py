"""What is in the snapshots and not yet in the roll-ups: appended with the snapshots, taken out with the roll-up.

Each in one transaction with what it belongs to, so that every snapshot is rolled up once, however late it came and
whoever was killed meanwhile. It holds the values themselves, so that nobody reads them out of the snapshots again.

Rows are kept by lane, which is a range of hosts, and by bucket: a roll-up takes a closed bucket of one lane.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from store.aggregates import FIVE_MINUTES, bucket_starts
from store.binary_copy import copy_in
from store.engine import driver_cursor
from store.snapshots import SnapshotRows
from wire.metrics import NAMES

HOSTS_IN_LANE = 8192
"""Hosts with consecutive ids; at 30 s they make 15 MB in five minutes."""

# A batch is to fit into one page of Postgres.
_BATCH_BYTES = 8000
_COLUMNS = "lane, start_at, metrics, batch"
_COPIED = struct.Struct(">hiiidihi")
_TAKE = """
    DELETE FROM rollup_backlog WHERE id IN (
        SELECT id FROM rollup_backlog WHERE lane = {0} AND start_at < {0} ORDER BY start_at LIMIT {0})
    RETURNING start_at, metrics, batch"""


@dataclass(frozen=True)
class Backlog:
    """Snapshots taken out of the backlog, n of them, NaN in ``core`` (n × metrics) for NULL."""

    host_id: NDArray[np.int64]
    start_at: NDArray[np.float64]
    """Of the 5-minute bucket that it is in, in Unix seconds."""
    core: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.host_id)


def _row(metrics: int) -> np.dtype[np.void]:
    return np.dtype([("host_id", "<i8"), ("core", "<f4", (metrics,))])


def lane_of(host_id: int) -> int:
    """Return the lane that a host is in."""
    return host_id // HOSTS_IN_LANE


def append(connection: Connection, rows: SnapshotRows) -> None:
    """Note snapshots that are to be rolled up."""
    if not len(rows):
        return
    metrics = rows.core.shape[1]
    batches = [(lane, start_at, metrics, batch) for lane, start_at, batch in _batches(rows)]
    if connection.dialect.name == "postgresql":
        body = b"".join(
            _COPIED.pack(4, 4, lane, 8, start_at, 2, metrics, len(batch)) + batch
            for lane, start_at, metrics, batch in batches
        )
        copy_in(connection, "rollup_backlog", _COLUMNS, body)
    else:
        connection.exec_driver_sql(
            f"INSERT INTO rollup_backlog ({_COLUMNS}) VALUES (?, ?, ?, ?)",  # noqa: S608 - names of our own
            batches,
        )


def _batches(rows: SnapshotRows) -> Iterator[tuple[int, float, bytes]]:
    lane = rows.host_id // HOSTS_IN_LANE
    start_at = bucket_starts(rows.taken_at, FIVE_MINUTES)
    order = np.lexsort((start_at, lane))
    lane, start_at = lane[order], start_at[order]
    table = np.empty(len(rows), _row(rows.core.shape[1]))
    table["host_id"] = rows.host_id[order]
    table["core"] = rows.core[order]
    ends = np.flatnonzero((lane[1:] != lane[:-1]) | (start_at[1:] != start_at[:-1])) + 1
    most = max(1, _BATCH_BYTES // table.itemsize)
    first = 0
    for end in (*ends.tolist(), len(rows)):
        for place in range(first, end, most):
            yield int(lane[first]), float(start_at[first]), table[place : min(place + most, end)].tobytes()
        first = end


def take(connection: Connection, lane: int, before: float, limit: int) -> Backlog:
    """Take at most ``limit`` batches of a lane out of the backlog, the oldest buckets first.

    Only buckets that start before then. Empty where there is nothing.
    """
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(_TAKE.format("%b"), (lane, before, limit), binary=True)
            taken = cursor.fetchall()
    else:
        taken = connection.exec_driver_sql(_TAKE.format("?"), (lane, before, limit)).fetchall()
    parts = []
    for width in {row[1] for row in taken}:
        batches = [(row[0], row[2]) for row in taken if row[1] == width]
        table = np.frombuffer(b"".join(batch for _, batch in batches), _row(width))
        counts = [len(batch) // table.itemsize for _, batch in batches]
        # Of an older or a newer catalogue: read as far as both go.
        core = table["core"]
        if width != len(NAMES):
            core = np.full((len(table), len(NAMES)), np.nan, np.float32)
            core[:, :width] = table["core"][:, : len(NAMES)]
        parts.append((table["host_id"], np.repeat(np.array([start for start, _ in batches], np.float64), counts), core))
    if not parts:
        return Backlog(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, len(NAMES)), np.float32))
    if len(parts) == 1:
        return Backlog(*parts[0])
    return Backlog(*(np.concatenate(column) for column in zip(*parts, strict=True)))
