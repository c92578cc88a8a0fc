"""Rolling up: what the drains left in the backlog becomes history at 5 minutes, and that history at 1 hour.

A bucket is rolled up once it has been over for a while, lane by lane, each step in a transaction of its own. What comes
later is added to what is there, so the order does not matter and nothing needs the raw snapshots again.

An hour is made of its twelve 5-minute buckets when it is over. From then on (``hours_until`` of the lane) what comes
for it is added to both.
"""

import math
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from store import leases, rollup_backlog, rollup_lanes, rollups
from store.aggregates import FIVE_MINUTES, HOUR, coarser, of_snapshots
from store.engine import reading, writing
from store.settings import Retention
from wire import keys
from worker.listener import DUTIES

# A snapshot is pushed when it is taken; what takes longer is added afterwards, which costs more.
GRACE_SECONDS = 30.0
# The child that does it drains nothing meanwhile. One second in a period is twice what a million hosts need.
_MOST_SECONDS = 1.0
_BATCHES_AT_ONCE = 8000
_HOSTS_AT_ONCE = 1024


def roll_up(engine: Engine, retention: Retention, clock: Callable[[], float]) -> int:
    """Roll up what is over, for a second at the most; return in how many steps.

    What comes when the 5-minute roll-ups of its time are gone is added to its hour alone.
    """
    now = clock()
    with writing(engine) as connection:
        if leases.claim(connection, keys.TASK_ROLL_UP, now, DUTIES[keys.TASK_ROLL_UP]) is None:
            return 0
        rollup_lanes.add_missing(connection, now)
    closed_until = math.floor((now - GRACE_SECONDS) / FIVE_MINUTES) * float(FIVE_MINUTES)
    with reading(engine) as connection:
        lanes = rollup_lanes.due(connection, closed_until)
    steps = 0
    for lane in lanes:
        while True:
            if not 0 <= clock() - now < _MOST_SECONDS:
                return steps
            with writing(engine) as connection:
                if not _step(connection, lane, closed_until, now - retention.five_minutes_seconds):
                    break
            steps += 1
    return steps


def _step(connection: Connection, lane: int, closed_until: float, keep_from: float) -> bool:
    """Do one piece of work on a lane; return whether there was any."""
    held = rollup_lanes.hold(connection, lane)
    if held is None:
        return False
    backlog = rollup_backlog.take(connection, lane, closed_until, _BATCHES_AT_ONCE)
    if len(backlog):
        fresh = of_snapshots(backlog.host_id, backlog.start_at, backlog.core)
        is_kept = fresh.start_at >= keep_from
        rollups.add(connection, "rollups_5m", fresh.where(is_kept))
        late = fresh.where(~is_kept | (fresh.start_at < held.hours_until))
        rollups.add(connection, "rollups_1h", coarser([late], HOUR))
        return True
    if held.hours_until + HOUR > closed_until:
        return False
    host_ids = rollup_lanes.host_ids(connection, held)
    for place in range(0, len(host_ids), _HOSTS_AT_ONCE):
        some = host_ids[place : place + _HOSTS_AT_ONCE]
        hour = rollups.read_hosts(connection, "rollups_5m", some, held.hours_until, held.hours_until + HOUR)
        rollups.add(connection, "rollups_1h", coarser([hour], HOUR))
    rollup_lanes.move_hours(connection, held, held.hours_until + HOUR)
    return True
