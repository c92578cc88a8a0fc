"""The duty of deviation: rolled-up buckets of five minutes through the detector, lane by lane.

Memory, events and the position of a lane commit together: killed anywhere before that, the bucket has not been looked
at, and is looked at again with the same memory, which gives the same events.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from store import deviations, leases, rollups
from store.aggregates import FIVE_MINUTES
from store.deviations import Hosts
from store.engine import reading, writing
from wire import keys
from worker.detection.deviation.detector import Bucket, Season, grown, pack, unpack
from worker.detection.deviation.expectation import DAY_SLOTS, is_weekend, slot_of
from worker.detection.deviation.metrics import METRICS, PLACES
from worker.detection.limits import Limit
from worker.event_rows import write_events
from worker.listener import DUTIES
from worker.policies import limits_of
from worker.rollups import GRACE_SECONDS
from worker.unusual import DEVIATION, Lane, decode, encode, look

# The child that does it drains nothing meanwhile.
_MOST_SECONDS = 1.0
# After an outage the hosts' own spools fill in what they have; what is older than this is let go.
_FARTHEST_BACK_SECONDS = 86400.0


def look_for_deviations(engine: Engine, clock: Callable[[], float]) -> set[int]:
    """Look at the buckets that are rolled up, for a second at the most; return the hosts whose events changed."""
    now = clock()
    with writing(engine) as connection:
        if leases.claim(connection, keys.TASK_DEVIATE, now, DUTIES[keys.TASK_DEVIATE]) is None:
            return set()
        deviations.add_missing_lanes(connection, now)
    closed_until = math.floor((now - GRACE_SECONDS) / FIVE_MINUTES) * float(FIVE_MINUTES)
    hosts: set[int] = set()
    while True:
        with reading(engine) as connection:
            lanes = deviations.due_lanes(connection, closed_until)
        if not lanes:
            return hosts
        for lane in lanes:
            if not 0 <= clock() - now < _MOST_SECONDS:
                return hosts
            with writing(engine) as connection:
                looked = _look_at(connection, lane, closed_until)
            if looked is None:
                # Another worker is at it.
                return hosts
            hosts |= looked


def _look_at(connection: Connection, lane: int, closed_until: float) -> set[int] | None:
    """Look at the next bucket of a lane; None where another one holds the lane."""
    held = deviations.hold_lane(connection, lane)
    if held is None:
        return None
    start_at = max(held.until, closed_until - _FARTHEST_BACK_SECONDS)
    if start_at + FIVE_MINUTES > closed_until:
        return set()
    hosts = deviations.hosts_of(connection, lane)
    size = int(hosts.places[-1]) + 1 if len(hosts.places) else 0
    bucket = _bucket(connection, hosts, size, start_at)
    slot = slot_of(start_at)
    # Weekends have slots of their own behind those of the day.
    slots = (slot, DAY_SLOTS + slot) if is_weekend(start_at) else (slot,)
    seasons = [_season(connection, lane, one, size) for one in slots]
    limits, is_off = _limits(connection, hosts, size)
    known = Lane(
        unpack(held.memory, size, len(METRICS)),
        Season(seasons[0], seasons[-1], np.full(size, is_weekend(start_at))),
        decode(held.tracks),
        [deviations.places_of(np.array(group, np.int64)) for group in deviations.tagged(connection, lane)],
        limits,
        frozenset(hosts.places[hosts.is_unwatched | is_off].tolist()),
    )
    looked = look(known, bucket, METRICS, start_at)
    changes = [(deviations.host_at(lane, change.host), change) for change in looked.changes]
    write_events(connection, changes)
    after = held._replace(until=start_at + FIVE_MINUTES, memory=pack(looked.memory), tracks=encode(looked.tracks))
    deviations.write_lane(connection, after)
    for one, season in zip(slots, (looked.season.day, looked.season.weekend), strict=False):
        deviations.write_season(connection, lane, one, season.astype("<f4").tobytes())
    return {host for host, _ in changes}


def _season(connection: Connection, lane: int, slot: int, size: int) -> NDArray[np.float32]:
    return grown(np.frombuffer(deviations.read_season(connection, lane, slot), "<f4").reshape(-1, len(METRICS)), size)


def _limits(connection: Connection, hosts: Hosts, size: int) -> tuple[list[Limit], NDArray[np.bool_]]:
    """Return the limits by place, and for which of the hosts deviation is switched off."""
    batch = limits_of(connection, hosts.ids.tolist())
    limits = [kind.of(DEVIATION) for kind in batch.kinds]
    kind = np.zeros(len(hosts.ids), np.int64) if batch.kind is None else batch.kind
    by_place = np.zeros(size, np.int64)
    by_place[hosts.places] = kind
    is_off = np.array([not limit.enabled for limit in limits])
    return [limits[one] for one in by_place.tolist()], is_off[kind]


def _bucket(connection: Connection, hosts: Hosts, size: int, start_at: float) -> Bucket:
    """Return a bucket of a lane's hosts, by place."""
    values = np.full((3, size, len(METRICS)), np.nan, np.float32)
    if size:
        host_ids, stored = rollups.read_values(connection, "rollups_5m", hosts.ids.tolist(), start_at)
        values[:, deviations.places_of(host_ids)] = stored[:, :, PLACES].swapaxes(0, 1)
    return Bucket(*values)
