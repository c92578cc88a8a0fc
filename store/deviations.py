"""What the detector of deviations remembers, lane by lane, and what it reads: lanes are those of the roll-ups."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, exists, func, insert, select

from store.aggregates import FIVE_MINUTES
from store.engine import driver_cursor
from store.rollup_backlog import HOSTS_IN_LANE, lane_of
from store.schema import deviation_lanes, hosts, rollup_backlog, tags

_HOSTS = "SELECT id, paused OR revoked_at IS NOT NULL FROM hosts WHERE id >= {0} AND id < {0} ORDER BY id"
_HOLD = "SELECT lane, until, memory, tracks FROM deviation_lanes WHERE lane = {0}"
_READ_SEASON = "SELECT season FROM deviation_seasons WHERE lane = {0} AND slot = {0}"
_WRITE = "UPDATE deviation_lanes SET until = {0}, memory = {0}, tracks = {0} WHERE lane = {0}"
_WRITE_SEASON = """
    INSERT INTO deviation_seasons (lane, slot, season) VALUES ({0}, {0}, {0})
    ON CONFLICT (lane, slot) DO UPDATE SET season = excluded.season"""


class Lane(NamedTuple):
    """A lane that this transaction holds."""

    id: int
    until: float
    """The buckets before were looked at, in Unix seconds."""
    memory: bytes | memoryview
    tracks: bytes | None


class Hosts(NamedTuple):
    """The hosts of a lane, by id."""

    ids: NDArray[np.int64]
    places: NDArray[np.int64]
    """In the lane, one for one."""
    is_unwatched: NDArray[np.bool_]
    """Which are paused or revoked."""


def places_of(host_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of hosts in their lanes."""
    return host_ids % HOSTS_IN_LANE


def host_at(lane: int, place: int) -> int:
    """Return the id of the host at a place of a lane."""
    return lane * HOSTS_IN_LANE + place


def add_missing_lanes(connection: Connection, now: float) -> None:
    """Make the lanes of hosts that were enrolled since; they begin with the present bucket."""
    highest = connection.scalar(select(func.max(hosts.c.id)))
    known = set(connection.scalars(select(deviation_lanes.c.lane)))
    lanes = range(0 if highest is None else lane_of(highest) + 1)
    start = now // FIVE_MINUTES * FIVE_MINUTES
    missing = [{"lane": lane, "until": start, "memory": b""} for lane in lanes if lane not in known]
    if missing:
        connection.execute(insert(deviation_lanes), missing)


def due_lanes(connection: Connection, closed_until: float) -> list[int]:
    """Return the lanes with a rolled-up bucket that ends by then, in Unix seconds; the farthest behind first."""
    lanes, backlog = deviation_lanes.c, rollup_backlog.c
    waits = exists().where(backlog.lane == lanes.lane, backlog.start_at <= lanes.until)
    query = select(lanes.lane).where(lanes.until + FIVE_MINUTES <= closed_until, ~waits)
    return list(connection.scalars(query.order_by(lanes.until, lanes.lane)))


def hold_lane(connection: Connection, lane: int) -> Lane | None:
    """Lock a lane for this transaction; None where another one holds it."""
    rows = _run(connection, _HOLD + (" FOR UPDATE SKIP LOCKED" if _is_postgres(connection) else ""), (lane,))
    return Lane(*rows[0]) if rows else None


def read_season(connection: Connection, lane: int, slot: int) -> bytes:
    """Return what is remembered of a slot of the day, empty where that is nothing yet."""
    rows = _run(connection, _READ_SEASON, (lane, slot))
    return rows[0][0] if rows else b""


def write_lane(connection: Connection, lane: Lane) -> None:
    """Write a lane that this transaction holds."""
    _run(connection, _WRITE, (lane.until, lane.memory, lane.tracks, lane.id))


def write_season(connection: Connection, lane: int, slot: int, season: bytes) -> None:
    """Write what is remembered of a slot of the day."""
    _run(connection, _WRITE_SEASON, (lane, slot, season))


def _run(connection: Connection, statement: str, given: Sequence[object]) -> list[Any]:
    """Run a statement of one lane: on Postgres in binary, since megabytes as text take several times as long.

    Past SQLAlchemy, whose handling of each row costs more than to look at the host.
    """
    with driver_cursor(connection) as cursor:
        if _is_postgres(connection):
            cursor.execute(statement.format("%b"), given, binary=True)
        else:
            cursor.execute(statement.format("?"), given)
        return cursor.fetchall() if cursor.description else []


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def hosts_of(connection: Connection, lane: int) -> Hosts:
    """Return the hosts of a lane."""
    rows = _run(connection, _HOSTS, (host_at(lane, 0), host_at(lane + 1, 0)))
    ids = np.array([row[0] for row in rows], np.int64)
    return Hosts(ids, places_of(ids), np.array([row[1] for row in rows], bool))


def tagged(connection: Connection, lane: int) -> list[Sequence[int]]:
    """Return the ids of a lane's hosts, tag by tag."""
    in_lane = tags.c.host_id.between(host_at(lane, 0), host_at(lane + 1, 0) - 1)
    by_tag: dict[str, list[int]] = {}
    for host_id, tag in connection.execute(select(tags.c.host_id, tags.c.tag).where(in_lane).order_by(tags.c.host_id)):
        by_tag.setdefault(tag, []).append(host_id)
    return list(by_tag.values())
