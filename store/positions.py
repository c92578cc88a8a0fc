"""Where every host stands: what a drain reads of its hosts before, and writes of them after.

Raw SQL through the driver: a drain moves thousands of hosts, and Core's handling of each row would cost more than
the database does.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from store.arrays import Blobs, Floats, Integers, as_json, unnested
from store.engine import driver_cursor
from store.schema import shards


class Position(Struct, gc=False):
    """A host as a drain finds it. ``sequence`` is the last one committed; 0 and incarnation 0 before the first."""

    host_id: int
    key: bytes | None
    """None once the host is revoked."""
    incarnation: int
    sequence: int
    body_crc: int
    """CRC-32 of the body of ``sequence``, 0 where that was no snapshot."""
    taken_at: float | None
    cpu_percent: float | None
    tracks: bytes | None


class Moved(NamedTuple):
    """What a drain changes of H hosts, one column each, in the order of ``_UPDATE``; times are Unix seconds.

    NaN leaves the last snapshot's figures, but for ``cpu_percent``: there it is a value that was missing.
    """

    incarnation: NDArray[np.int64]
    sequence: NDArray[np.int64]
    body_crc: NDArray[np.int64]
    received_at: NDArray[np.float64]
    """NaN where no snapshot was stored."""
    taken_at: NDArray[np.float64]
    interval_seconds: NDArray[np.float64]
    cpu_percent: NDArray[np.float64]
    impossible_values: NDArray[np.int64]
    """New ones, to be added."""
    host_id: NDArray[np.int64]


class Shard(NamedTuple):
    """A shard that this transaction holds. ``caught_up_at`` is when its inbox was last seen empty, in Unix seconds."""

    id: int
    caught_up_at: float


_COLUMNS = "host_id, key, incarnation, sequence, body_crc, taken_at, cpu_percent, tracks"
_SELECT_SQLITE = f"SELECT {_COLUMNS} FROM host_state WHERE host_id IN (SELECT value FROM json_each(?))"  # noqa: S608 - no value
_SELECT_POSTGRES = f"SELECT {_COLUMNS} FROM host_state WHERE host_id = ANY(%b)"  # noqa: S608 - no value
# A cpu_percent of NULL is a value that was missing, not one to keep: received_at tells whether there was a snapshot.
_UPDATE_SQLITE = """
    UPDATE host_state SET incarnation = ?1, sequence = ?2, body_crc = ?3,
        received_at = coalesce(?4, received_at), taken_at = coalesce(?5, taken_at),
        interval_seconds = coalesce(?6, interval_seconds),
        cpu_percent = CASE WHEN ?4 IS NULL THEN cpu_percent ELSE ?7 END,
        impossible_values = impossible_values + ?8
    WHERE host_id = ?9"""
_UPDATE_POSTGRES = f"""
    UPDATE host_state AS s SET incarnation = u.incarnation, sequence = u.sequence, body_crc = u.body_crc,
        received_at = coalesce(u.received_at, s.received_at), taken_at = coalesce(u.taken_at, s.taken_at),
        interval_seconds = coalesce(u.interval_seconds, s.interval_seconds),
        cpu_percent = CASE WHEN u.received_at IS NULL THEN s.cpu_percent ELSE u.cpu_percent END,
        impossible_values = s.impossible_values + u.impossible_values
    FROM {unnested(Moved._fields)}
    WHERE s.host_id = u.host_id"""  # noqa: S608 - no value


def lock_shards(connection: Connection, ids: Sequence[int]) -> list[Shard]:
    """Take the shards for this transaction; those that another one holds are left out, without waiting."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            "SELECT id, caught_up_at FROM shards WHERE id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED",
            (list(ids),),
        )
    else:
        # BEGIN IMMEDIATE has taken the whole database already.
        rows = connection.exec_driver_sql(
            "SELECT id, caught_up_at FROM shards WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (as_json(ids),),
        )
    return [Shard(*row) for row in rows]


def caught_up_at(connection: Connection, ids: Collection[int]) -> dict[int, float]:
    """Return when the inbox of each of these shards was last seen empty, in Unix seconds, without a lock on it."""
    query = select(shards.c.id, shards.c.caught_up_at).where(shards.c.id.in_(sorted(ids)))
    return dict(connection.execute(query).all())


def count_drain(connection: Connection, held: Iterable[Shard]) -> None:
    """Count one drain more for each shard, and note when its inbox was last seen empty."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    connection.exec_driver_sql(
        f"UPDATE shards SET version = version + 1, caught_up_at = {mark} WHERE id = {mark}",  # noqa: S608 - no value
        [(shard.caught_up_at, shard.id) for shard in held],
    )


def positions(connection: Connection, host_ids: Sequence[int]) -> dict[int, Position]:
    """Return the position of each of these hosts that there is, by host id."""
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(_SELECT_POSTGRES, (Integers(host_ids),), binary=True)
            rows = cursor.fetchall()
    else:
        rows = connection.exec_driver_sql(_SELECT_SQLITE, (as_json(host_ids),)).fetchall()
    return {row[0]: Position(*row) for row in rows}


def move(connection: Connection, moved: Moved) -> None:
    """Write where these hosts stand now."""
    if not len(moved.host_id):
        return
    if connection.dialect.name == "postgresql":
        columns = (
            Integers(column.astype(np.int64)) if column.dtype.kind == "i" else Floats(column.astype(np.float64))
            for column in moved
        )
        connection.exec_driver_sql(_UPDATE_POSTGRES, tuple(columns))
    else:
        # SQLite binds NaN as NULL.
        connection.exec_driver_sql(_UPDATE_SQLITE, list(zip(*(column.tolist() for column in moved), strict=True)))


def set_tracks(connection: Connection, tracks: Sequence[tuple[bytes | None, int]]) -> None:
    """Write the pending, open and lately resolved events of hosts, given as (tracks, host id)."""
    if not tracks:
        return
    if connection.dialect.name == "postgresql":
        blobs, host_ids = zip(*tracks, strict=True)
        connection.exec_driver_sql(
            f"UPDATE host_state AS s SET tracks = u.tracks FROM {unnested(('tracks', 'host_id'))} "  # noqa: S608 - no value
            "WHERE s.host_id = u.host_id",
            (Blobs(blobs), Integers(host_ids)),
        )
    else:
        connection.exec_driver_sql("UPDATE host_state SET tracks = ? WHERE host_id = ?", list(tracks))
