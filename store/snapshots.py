"""Bulk insert of snapshots: a binary COPY whose bytes NumPy makes on Postgres, tuples on SQLite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from store.binary_copy import NULL_LENGTH, copy_in
from wire.metrics import NAMES

_KEY_COLUMNS = ("host_id", "incarnation", "sequence", "received_at", "taken_at", "interval_seconds")
_COLUMNS = (*_KEY_COLUMNS, *NAMES)
_COLUMN_LIST = ", ".join(_COLUMNS)

_FIRST_METRIC_BYTE = 2 + 5 * (4 + 8) + (4 + 4)


@dataclass(frozen=True)
class SnapshotRows:
    """Snapshots as columns of n rows; times in Unix seconds, NaN in ``core`` (n × metrics) for NULL."""

    host_id: NDArray[np.int64]
    incarnation: NDArray[np.int64]
    sequence: NDArray[np.int64]
    received_at: float
    taken_at: NDArray[np.float64]
    interval_seconds: NDArray[np.float32]
    core: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.host_id)


def _copy_row() -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name in _COLUMNS:
        wide = name in _KEY_COLUMNS and name != "interval_seconds"
        kind = ">i8" if name in ("host_id", "incarnation", "sequence") else ">f8" if wide else ">f4"
        fields += [(f"{name} length", ">i4"), (name, kind)]
    return np.dtype(fields)


_COPY_ROW = _copy_row()
_METRICS = np.dtype([("length", ">i4"), ("value", ">f4")])


def insert_snapshots(connection: Connection, rows: SnapshotRows) -> None:
    """Write the snapshots."""
    if not len(rows):
        return
    if connection.dialect.name == "postgresql":
        copy_in(connection, "snapshots", _COLUMN_LIST, copy_rows(rows))
        return
    places = ", ".join("?" * len(_COLUMNS))
    received_at = rows.received_at
    connection.exec_driver_sql(
        f"INSERT INTO snapshots ({_COLUMN_LIST}) VALUES ({places})",  # noqa: S608 - our own column names
        [
            # SQLite stores NaN as NULL.
            (host_id, incarnation, sequence, received_at, taken_at, interval_seconds, *core)
            for host_id, incarnation, sequence, taken_at, interval_seconds, core in zip(
                rows.host_id.tolist(),
                rows.incarnation.tolist(),
                rows.sequence.tolist(),
                rows.taken_at.tolist(),
                rows.interval_seconds.tolist(),
                rows.core.tolist(),
                strict=True,
            )
        ],
    )


def copy_rows(rows: SnapshotRows) -> bytes:
    """Return the rows in COPY's binary format: each a field count, then length and big-endian value of each column.

    NULL is a length of -1 and no value: those bytes are masked out.
    """
    table = np.zeros(len(rows), _COPY_ROW)
    table["fields"] = len(_COLUMNS)
    for name in _KEY_COLUMNS:
        table[f"{name} length"] = _COPY_ROW[name].itemsize
        table[name] = getattr(rows, name)
    octets = table.view(np.uint8).reshape(len(rows), _COPY_ROW.itemsize)
    metrics = octets[:, _FIRST_METRIC_BYTE:].view(_METRICS)
    missing = np.isnan(rows.core)
    metrics["value"] = rows.core
    metrics["length"] = np.where(missing, NULL_LENGTH, 4)
    if not missing.any():
        return table.tobytes()
    keep = np.ones(octets.shape, bool)
    keep[:, _FIRST_METRIC_BYTE:].reshape(len(rows), len(NAMES), 8)[:, :, 4:] = ~missing[:, :, None]
    return octets[keep].tobytes()
