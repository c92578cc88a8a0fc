"""Lanes: ranges of hosts that are rolled up together, and how far each is."""

from typing import NamedTuple

from sqlalchemy import Connection, exists, func, insert, or_, select, update

from store.aggregates import HOUR
from store.rollup_backlog import HOSTS_IN_LANE, lane_of
from store.schema import hosts, rollup_backlog, rollup_lanes


class Lane(NamedTuple):
    """A lane that this transaction holds."""

    id: int
    hours_until: float
    """The hours before are in the table of hours, in Unix seconds."""


def add_missing(connection: Connection, now: float) -> None:
    """Make the lanes of hosts that were enrolled since; their hours begin with the present one."""
    highest = connection.scalar(select(func.max(hosts.c.id)))
    lanes = range(0 if highest is None else lane_of(highest) + 1)
    known = set(connection.scalars(select(rollup_lanes.c.lane)))
    missing = [{"lane": lane, "hours_until": now // HOUR * HOUR} for lane in lanes if lane not in known]
    if missing:
        connection.execute(insert(rollup_lanes), missing)


def due(connection: Connection, closed_until: float) -> list[int]:
    """Return the lanes that have anything to roll up in buckets that start before then, in Unix seconds."""
    waits = exists().where(rollup_backlog.c.lane == rollup_lanes.c.lane, rollup_backlog.c.start_at < closed_until)
    is_due = or_(rollup_lanes.c.hours_until + HOUR <= closed_until, waits)
    return list(connection.scalars(select(rollup_lanes.c.lane).where(is_due).order_by(rollup_lanes.c.lane)))


def hold(connection: Connection, lane: int) -> Lane | None:
    """Lock a lane for this transaction; None where another one holds it."""
    query = select(rollup_lanes.c.lane, rollup_lanes.c.hours_until).where(rollup_lanes.c.lane == lane)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    return Lane(*row) if row else None


def move_hours(connection: Connection, lane: Lane, hours_until: float) -> None:
    """Note that the hours of a lane are rolled up until then, in Unix seconds."""
    connection.execute(update(rollup_lanes).where(rollup_lanes.c.lane == lane.id).values(hours_until=hours_until))


def host_ids(connection: Connection, lane: Lane) -> list[int]:
    """Return the ids of the hosts in a lane, in order."""
    first = lane.id * HOSTS_IN_LANE
    in_lane = hosts.c.id.between(first, first + HOSTS_IN_LANE - 1)
    return list(connection.scalars(select(hosts.c.id).where(in_lane).order_by(hosts.c.id)))
