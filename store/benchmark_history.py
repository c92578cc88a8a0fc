"""A month of history for ``bench api``: what workers would have stored, made up and written in bulk."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, insert, select, update

from store import rollup_backlog, rollup_lanes, rollups
from store.aggregates import FIVE_MINUTES, HOUR, Aggregates
from store.engine import writing
from store.schema import events, host_details, host_state, hosts, snapshots, tags
from store.snapshots import SnapshotRows, insert_snapshots
from wire.metrics import INDEX, NAMES
from wire.snapshot import Details, Disk, Filesystem, Interface, Process, encode_details

Say = Callable[[str], None]

INTERVAL_SECONDS = 30
WHOLE = "whole-history"
"""The tag of the hosts that have a whole month."""
_DAY = 86400
_SEED = 1
_HOSTS_TO_ONE_EVENT = 2
_HOSTS_TO_ONE_OPEN_EVENT = 20
_EXPIRED_SECONDS = 20 * INTERVAL_SECONDS
_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Extent:
    """How much there is."""

    hosts: int
    """With the ids 1 to so many; of each there is the last hour at least."""
    whole_hosts: int
    """The first of them, with a day of snapshots and 30 days of roll-ups."""
    late_buckets: int
    """Of how many 5-minute buckets all hosts' snapshots wait to be rolled up."""


@dataclass(frozen=True)
class Rows:
    """How many rows were written, by what they are."""

    snapshots: int
    rollups_5m: int
    rollups_1h: int
    expired_snapshots: int
    backlog_snapshots: int
    events: int


class _Values:
    """Values that vary slowly, another level for each host and metric; every other host has no temperature."""

    def __init__(self, size: int) -> None:
        random = np.random.default_rng(_SEED)
        self._level = random.random((size, len(NAMES)), np.float32) * 50
        self._level[::2, INDEX["temperature_celsius"]] = np.nan
        self._phase = random.random(size, np.float32) * 6

    def __call__(self, host_id: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float32]:
        wave = 1 + 0.2 * np.sin(self._phase[host_id - 1] + times / 5000)
        return self._level[host_id - 1] * wave.astype(np.float32)[:, None]


def fill(engine: Engine, extent: Extent, now: float, say: Say) -> Rows:
    """Write the history up to ``now`` of hosts that are enrolled already, and what retention has to delete."""
    values = _Values(extent.hosts)
    every = np.arange(1, extent.hosts + 1)
    whole, others = every[: extent.whole_hosts], every[extent.whole_hosts :]
    hours_until = now // HOUR * HOUR
    fives_until = now // FIVE_MINUTES * FIVE_MINUTES
    last_fives, fives = (np.arange(fives_until - length, fives_until, FIVE_MINUTES) for length in (HOUR, 30 * _DAY))
    last_hour, hours = (np.arange(hours_until - length, hours_until, HOUR) for length in (HOUR, 30 * _DAY))
    five_minute_rows = _fill_rollups(engine, "rollups_5m", whole, fives, values, say)
    five_minute_rows += _fill_rollups(engine, "rollups_5m", others, last_fives, values, say)
    hour_rows = _fill_rollups(engine, "rollups_1h", whole, hours, values, say)
    hour_rows += _fill_rollups(engine, "rollups_1h", others, last_hour, values, say)
    # The oldest first: SQLite finds them by the order in which they were received.
    expired_from = now - 4 * _DAY
    expired_times = np.arange(expired_from, expired_from + _EXPIRED_SECONDS, INTERVAL_SECONDS)
    expired = _fill_snapshots(engine, every, expired_times, values, say)
    raw = _fill_snapshots(engine, whole, np.arange(now - _DAY, now - HOUR, INTERVAL_SECONDS), values, say)
    raw += _fill_snapshots(engine, every, np.arange(now - HOUR, now + 1, INTERVAL_SECONDS), values, say)
    waiting = _fill_backlog(engine, every, fives_until, extent.late_buckets, values)
    with writing(engine) as connection:
        rollup_lanes.add_missing(connection, now)
        # Paused hosts are not missed: nobody pushes for them.
        connection.execute(update(hosts).values(paused=True))
        connection.execute(insert(tags), [{"host_id": host_id, "tag": WHOLE} for host_id in whole.tolist()])
        last = {"received_at": now, "taken_at": now, "interval_seconds": float(INTERVAL_SECONDS)}
        connection.execute(update(host_state).values(sequence=1, incarnation=1, **last))
        opened = _fill_events(connection, every, now)
        _fill_details(connection, whole, now)
    return Rows(
        snapshots=raw,
        rollups_5m=five_minute_rows,
        rollups_1h=hour_rows,
        expired_snapshots=expired,
        backlog_snapshots=waiting,
        events=opened,
    )


def _fill_snapshots(
    engine: Engine, host_ids: NDArray[np.int64], times: NDArray[np.float64], values: _Values, say: Say
) -> int:
    if not len(host_ids):
        return 0
    ones = np.ones(len(host_ids), np.int64)
    interval = np.full(len(host_ids), INTERVAL_SECONDS, np.float32)
    told = time.monotonic()
    for first in range(0, len(times), 100):
        with writing(engine) as connection:
            for moment in times[first : first + 100].tolist():
                taken_at = np.full(len(host_ids), moment)
                core = values(host_ids, taken_at)
                insert_snapshots(connection, SnapshotRows(host_ids, ones, ones, moment, taken_at, interval, core))
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"  {first * len(host_ids):,} of {len(times) * len(host_ids):,} snapshots")
    return len(times) * len(host_ids)


def _fill_rollups(
    engine: Engine,
    table: rollups.Table,
    host_ids: NDArray[np.int64],
    starts: NDArray[np.float64],
    values: _Values,
    say: Say,
) -> int:
    if not len(host_ids):
        return 0
    told = time.monotonic()
    written = 0
    for some_hosts, some_starts in _blocks(engine, host_ids, starts):
        host_id = np.repeat(some_hosts, len(some_starts))
        start_at = np.tile(some_starts, len(some_hosts))
        core = values(host_id, start_at)
        snapshots_behind = np.full(len(host_id), rollups.SECONDS[table] // INTERVAL_SECONDS)
        count = np.where(np.isnan(core), 0, snapshots_behind[:, None]).astype(np.int32)
        total = np.nan_to_num(core).astype(np.float64) * count
        with writing(engine) as connection:
            rollups.insert(
                connection,
                table,
                Aggregates(host_id, start_at, snapshots_behind, count, total, core * 0.9, core * 1.1),
            )
        written += len(host_id)
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"  {written:,} of {len(host_ids) * len(starts):,} rows of {table}")
    return written


def _blocks(
    engine: Engine, host_ids: NDArray[np.int64], starts: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield hosts and starts that are written together: in the order that the rows then have in the database.

    Postgres keeps them as they come, and they come bucket by bucket; SQLite has each host's side by side.
    """
    if engine.dialect.name == "postgresql":
        for start in starts.tolist():
            yield host_ids, np.array([start])
    else:
        for place in range(0, len(host_ids), 4):
            yield host_ids[place : place + 4], starts


def _fill_backlog(engine: Engine, host_ids: NDArray[np.int64], until: float, late_buckets: int, values: _Values) -> int:
    """Let the last closed buckets' snapshots wait to be rolled up, as after an outage."""
    ones = np.ones(len(host_ids), np.int64)
    interval = np.full(len(host_ids), INTERVAL_SECONDS, np.float32)
    times = np.arange(until - late_buckets * FIVE_MINUTES, until, INTERVAL_SECONDS)
    for moment in times.tolist():
        taken_at = np.full(len(host_ids), moment)
        rows = SnapshotRows(host_ids, ones, ones, until, taken_at, interval, values(host_ids, taken_at))
        with writing(engine) as connection:
            rollup_backlog.append(connection, rows)
    return len(times) * len(host_ids)


def _fill_events(connection: Connection, host_ids: NDArray[np.int64], now: float) -> int:
    rows = [
        {
            "host_id": host_id,
            "type": ("cpu_high", "memory_high", "disk_full", "service_down")[host_id % 4],
            "subject": "/srv" if host_id % 4 == 2 else "",
            "severity": ("high", "medium", "critical")[host_id % 3],
            "state": "open" if host_id % _HOSTS_TO_ONE_OPEN_EVENT == 0 else "resolved",
            "limit_value": 85.0,
            "first_value": 90.0,
            "value": 91.0,
            "peak_value": 99.0,
            "peak_at": now - 600 - host_id,
            "started_at": now - 660 - host_id,
            "opened_at": now - 630 - host_id,
            "last_at": now - 30,
            "resolved_at": None if host_id % _HOSTS_TO_ONE_OPEN_EVENT == 0 else now - 10,
            "evidence": {"processes": [{"pid": 1000 + place, "name": f"task-{place}"} for place in range(5)]},
        }
        for host_id in host_ids[1::_HOSTS_TO_ONE_EVENT].tolist()
    ]
    connection.execute(insert(events), rows)
    return len(rows)


def _fill_details(connection: Connection, host_ids: NDArray[np.int64], now: float) -> None:
    """Write the latest details of hosts and an earlier copy, with as much in them as collectors send."""
    processes = tuple(
        Process(1000 + place, now - _DAY, name, "root", 5.0 + place, 1.0 + place, 1e8, f"/usr/bin/{name}")
        for place, name in ((place, f"task-{place}") for place in range(10))
    )
    details = Details(
        filesystems=tuple(
            Filesystem(mount, f"/dev/vd{mount[-1]}", "ext4", 1e11, 5e10, 50.0, 5.0) for mount in ("/", "/srv", "/var")
        ),
        disks=tuple(Disk(f"vd{place}", 1e6, 1e6, 10.0, 10.0, 5.0) for place in "abc"),
        interfaces=(Interface("eth0", 1e5, 1e5, 0.0, 0.0),),
        processes_by_cpu=processes,
        processes_by_memory=processes[::-1],
        cpu_count=4,
        platform="linux",
    )
    encoded = bytes(encode_details(details))
    held = {"taken_at": now, "details": encoded, "earlier_taken_at": now - 700, "earlier_details": encoded}
    connection.execute(insert(host_details), [{"host_id": host_id, **held} for host_id in host_ids.tolist()])


def make_due(connection: Connection, duty: str) -> None:
    """Let a duty be taken at its next ring, whenever it last was."""
    connection.exec_driver_sql(f"DELETE FROM duties WHERE name = '{duty}'")  # noqa: S608 - one of our own names


def waiting(connection: Connection, before: float) -> tuple[int, int]:
    """Return how many batches wait to be rolled up, and how many snapshots were received before then."""
    batches = connection.exec_driver_sql("SELECT count(*) FROM rollup_backlog").scalar_one()
    old = select(func.count()).select_from(snapshots).where(snapshots.c.received_at < before)
    return int(batches), connection.scalar(old) or 0


def settle(engine: Engine) -> None:
    """Let Postgres look at what there is, as autovacuum would have by then."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
