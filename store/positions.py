"""Where every host stands: what a drain reads of its hosts before, and writes of them after.

Raw SQL through the driver: a drain moves thousands of hosts, and Core's handling of each row would cost more than
the database does.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from store.arrays import Floats, Integers
from store.engine import driver_cursor


class Position(Struct, gc=False):
    """A host as a drain finds it. ``sequence`` is the last one committed; 0 and incarnation 0 before the first."""

    host_id: int
    key: bytes
    revoked: bool
    incarnation: int
    sequence: int
    body_crc: int
    """CRC-32 of the body of ``sequence``, 0 where that was no snapshot."""
    taken_at: float | None
    cpu_percent: float | None
    tracks: bytes | None


class Moved(NamedTuple):
    """What a drain changes of a host, in the order of ``_UPDATE``; None leaves the last snapshot's figures."""

    incarnation: int
    sequence: int
    body_crc: int
    received_at: float | None
    taken_at: float | None
    interval_seconds: float | None
    cpu_percent: float | None
    impossible_values: int
    """New ones, to be added."""
    discarded_entries: int
    """New ones, to be added."""
    host_id: int


class Shard(NamedTuple):
    """A shard that this transaction holds. ``caught_up_at`` is when its inbox was last seen empty, in Unix seconds."""

    id: int
    caught_up_at: float


_COLUMNS = (
    "h.id, h.key, h.revoked_at IS NOT NULL, s.incarnation, s.sequence, s.body_crc, s.taken_at, s.cpu_percent, s.tracks"
)
_FROM = "FROM hosts h JOIN host_state s ON s.host_id = h.id WHERE h.id"
# A cpu_percent of NULL is a value that was missing, not one to keep: received_at tells whether there was a snapshot.
_UPDATE_SQLITE = """
    UPDATE host_state SET incarnation = ?1, sequence = ?2, body_crc = ?3,
        received_at = coalesce(?4, received_at), taken_at = coalesce(?5, taken_at),
        interval_seconds = coalesce(?6, interval_seconds),
        cpu_percent = CASE WHEN ?4 IS NULL THEN cpu_percent ELSE ?7 END,
        impossible_values = impossible_values + ?8, discarded_entries = discarded_entries + ?9
    WHERE host_id = ?10"""
_UPDATE_POSTGRES = """
    UPDATE host_state AS s SET incarnation = u.incarnation, sequence = u.sequence, body_crc = u.body_crc,
        received_at = coalesce(u.received_at, s.received_at), taken_at = coalesce(u.taken_at, s.taken_at),
        interval_seconds = coalesce(u.interval_seconds, s.interval_seconds),
        cpu_percent = CASE WHEN u.received_at IS NULL THEN s.cpu_percent ELSE u.cpu_percent END,
        impossible_values = s.impossible_values + u.impossible_values,
        discarded_entries = s.discarded_entries + u.discarded_entries
    FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b) AS u (incarnation, sequence, body_crc, received_at, taken_at,
        interval_seconds, cpu_percent, impossible_values, discarded_entries, host_id)
    WHERE s.host_id = u.host_id"""


def lock_shards(connection: Connection, shards: Sequence[int]) -> list[Shard]:
    """Take the shards for this transaction; those that another one holds are left out, without waiting."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            "SELECT id, caught_up_at FROM shards WHERE id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED",
            (list(shards),),
        )
    else:
        # BEGIN IMMEDIATE has taken the whole database already.
        rows = connection.exec_driver_sql(
            "SELECT id, caught_up_at FROM shards WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (_json(shards),),
        )
    return [Shard(*row) for row in rows]


def count_drain(connection: Connection, shards: Iterable[Shard]) -> None:
    """Count one drain more for each shard, and note when its inbox was last seen empty."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    connection.exec_driver_sql(
        f"UPDATE shards SET version = version + 1, caught_up_at = {mark} WHERE id = {mark}",  # noqa: S608 - no value
        [(shard.caught_up_at, shard.id) for shard in shards],
    )


def positions(connection: Connection, host_ids: Sequence[int]) -> dict[int, Position]:
    """Return the position of each of these hosts that there is, by host id."""
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(f"SELECT {_COLUMNS} {_FROM} = ANY(%b)", (Integers(host_ids),), binary=True)
            rows = cursor.fetchall()
    else:
        query = f"SELECT {_COLUMNS} {_FROM} IN (SELECT value FROM json_each(?))"  # noqa: S608 - no value
        rows = connection.exec_driver_sql(query, (_json(host_ids),)).fetchall()
    return {row[0]: Position(*row) for row in rows}


def move(connection: Connection, moved: Sequence[Moved]) -> None:
    """Write where these hosts stand now."""
    if not moved:
        return
    if connection.dialect.name == "postgresql":
        columns = [list(column) for column in zip(*moved, strict=True)]
        kinds = (Integers, Integers, Integers, Floats, Floats, Floats, Floats, Integers, Integers, Integers)
        connection.exec_driver_sql(
            _UPDATE_POSTGRES, tuple(kind(column) for kind, column in zip(kinds, columns, strict=True))
        )
    else:
        connection.exec_driver_sql(_UPDATE_SQLITE, [tuple(row) for row in moved])


def set_tracks(connection: Connection, tracks: Sequence[tuple[bytes | None, int]]) -> None:
    """Write the pending and open events of hosts, given as (tracks, host id)."""
    if tracks:
        mark = "%s" if connection.dialect.name == "postgresql" else "?"
        connection.exec_driver_sql(
            f"UPDATE host_state SET tracks = {mark} WHERE host_id = {mark}",  # noqa: S608 - no value
            list(tracks),
        )


def _json(values: Sequence[int]) -> str:
    return msgspec.json.encode(list(values)).decode()
