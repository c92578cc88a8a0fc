"""The history of each host's filesystems: one row a host, its points packed; lanes of hosts that are read together."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, insert, or_, select

from store.arrays import Blobs, Floats, Integers, unnested
from store.engine import driver_cursor
from store.schema import filesystem_history, filesystem_lanes, hosts
from wire.text import MAX_TEXT, storable

HOSTS_IN_LANE = 1024
"""Hosts with consecutive ids, in one transaction."""
PARTS = 2
"""Of each mount: its space and its inodes."""
UNITS_IN_PERCENT = 600
"""A point holds 600ths of a percent: what a filesystem gains in minutes shows."""
MISSING = 65535

_INODES = " (inodes)"
_READ = """
    SELECT h.id, h.paused OR h.revoked_at IS NOT NULL, d.taken_at, d.details, f.mounts, f.points, f.tracks
    FROM hosts h JOIN host_details d ON d.host_id = h.id LEFT JOIN filesystem_history f ON f.host_id = h.id
    WHERE h.id >= {0} AND h.id < {0} AND CASE WHEN h.paused OR h.revoked_at IS NOT NULL THEN f.tracks IS NOT NULL
        ELSE f.host_id IS NULL OR f.next_at <= {0} END
    ORDER BY h.id"""
_HOLD = """
    UPDATE filesystem_lanes SET read_at = {0} WHERE lane = (SELECT lane FROM filesystem_lanes WHERE lane = {0}{1})"""
_WRITE_POSTGRES = f"""
    INSERT INTO filesystem_history (host_id, mounts, points, next_at, tracks)
    SELECT * FROM {unnested(("host_id", "mounts", "points", "next_at", "tracks"))}
    ON CONFLICT (host_id) DO UPDATE SET mounts = excluded.mounts, points = excluded.points,
        next_at = excluded.next_at, tracks = excluded.tracks"""  # noqa: S608 - no value
_WRITE_SQLITE = """
    INSERT OR REPLACE INTO filesystem_history (host_id, mounts, points, next_at, tracks) VALUES (?, ?, ?, ?, ?)"""

_names = msgspec.msgpack.Decoder(list[str])
_encoder = msgspec.msgpack.Encoder()


class Held(NamedTuple):
    """A host whose filesystems are to be looked at, as it is stored."""

    host_id: int
    unwatched: bool
    """Paused or revoked."""
    taken_at: float
    details: bytes
    mounts: bytes | None
    """None, as ``points``, where there is no history yet."""
    points: bytes | None
    tracks: bytes | None


class Row(NamedTuple):
    """A host's history, to be written. ``next_at`` is in Unix seconds."""

    host_id: int
    mounts: bytes
    points: bytes
    next_at: float
    tracks: bytes | None


class History(NamedTuple):
    """The history of a host's m mounts: n times in Unix seconds, and (n × m × PARTS) percent, NaN for missing."""

    mounts: list[str]
    at: NDArray[np.float64]
    percent: NDArray[np.float64]


def subject(mount: str, part: int) -> str:
    """Return the subject of an event of a mount: for its space the mount, for its inodes the mount with a word."""
    return storable(mount, MAX_TEXT - len(_INODES)) + _INODES if part else storable(mount)


@cache
def point_type(mounts: int) -> np.dtype[np.void]:
    """Return the layout of a point of so many mounts: Unix seconds, then space and inodes of each."""
    return np.dtype([("at", "<u4"), ("used", "<u2", (mounts * PARTS,))])


def encode_mounts(mounts: Sequence[str]) -> bytes:
    """Return the names of mounts as they are stored."""
    return _encoder.encode(mounts)


def decode_mounts(mounts: bytes) -> list[str]:
    """Read the names of mounts."""
    return _names.decode(mounts)


def percent_of(used: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return what a point holds in percent, NaN for missing."""
    return np.where(used == MISSING, np.nan, used / UNITS_IN_PERCENT)


def add_missing_lanes(connection: Connection) -> None:
    """Make the lanes of hosts that were enrolled since."""
    highest = connection.scalar(select(func.max(hosts.c.id)))
    known = set(connection.scalars(select(filesystem_lanes.c.lane)))
    lanes = range(0 if highest is None else highest // HOSTS_IN_LANE + 1)
    missing = [{"lane": lane, "read_at": 0.0} for lane in lanes if lane not in known]
    if missing:
        connection.execute(insert(filesystem_lanes), missing)


def due_lanes(connection: Connection, read_before: float, now: float) -> list[int]:
    """Return the lanes that were last read before then, the longest ago first.

    A time to come is that of a clock that was set back.
    """
    is_due = or_(filesystem_lanes.c.read_at <= read_before, filesystem_lanes.c.read_at > now)
    query = select(filesystem_lanes.c.lane).where(is_due)
    return list(connection.scalars(query.order_by(filesystem_lanes.c.read_at, filesystem_lanes.c.lane)))


def hold_lane(connection: Connection, lane: int, now: float) -> bool:
    """Lock a lane for this transaction and note that it is read now; False where another one holds it."""
    is_postgres = connection.dialect.name == "postgresql"
    statement = _HOLD.format("%s", " FOR UPDATE SKIP LOCKED") if is_postgres else _HOLD.format("?", "")
    return bool(connection.exec_driver_sql(statement, (now, lane)).rowcount)


def read_lane(connection: Connection, lane: int, now: float) -> list[Held]:
    """Return the hosts of a lane whose details are to be read now, and those unwatched that have events."""
    first = lane * HOSTS_IN_LANE
    given = (first, first + HOSTS_IN_LANE, now)
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(_READ.format("%b"), given, binary=True)
            return [Held(*row) for row in cursor.fetchall()]
    return [Held(*row) for row in connection.exec_driver_sql(_READ.format("?"), given)]


def write(connection: Connection, rows: Sequence[Row]) -> None:
    """Write the history of hosts."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        host_ids, mounts, points, next_at, tracks = zip(*rows, strict=True)
        with driver_cursor(connection) as cursor:
            cursor.execute(
                _WRITE_POSTGRES, (Integers(host_ids), Blobs(mounts), Blobs(points), Floats(next_at), Blobs(tracks))
            )
    else:
        connection.exec_driver_sql(_WRITE_SQLITE, [tuple(row) for row in rows])


def history(connection: Connection, host_id: int) -> History | None:
    """Return the history of a host's filesystems, None where there is none yet."""
    query = select(filesystem_history.c.mounts, filesystem_history.c.points)
    row = connection.execute(query.where(filesystem_history.c.host_id == host_id)).one_or_none()
    if row is None:
        return None
    mounts = decode_mounts(row.mounts)
    points = np.frombuffer(row.points, point_type(len(mounts)))
    percent = percent_of(points["used"]).reshape(len(points), len(mounts), PARTS)
    return History(mounts, points["at"].astype(np.float64), percent)
