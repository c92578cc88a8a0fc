"""What the benches ask of a database: one of their own, many hosts at once, a count of what arrived."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, case, delete, func, insert, make_url, select, update

from store.engine import connect
from store.schema import (
    dead_letters,
    deviation_lanes,
    duties,
    events,
    filesystem_history,
    filesystem_lanes,
    host_state,
    hosts,
    scripts,
    snapshots,
)
from wire.entry import KEY_BYTES

_ROWS_AT_ONCE = 50_000


@contextmanager
def temporary_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Create a database of a new name on a Postgres server and give its URL; at the end of the block drop it.

    It is a copy of the database ``template``, which nobody may be using. Raises sqlalchemy.exc.DBAPIError where the
    server does not answer or does not permit it.
    """
    name = f"fleetmedic_bench_{secrets.token_hex(6)}"
    server = connect(server_url).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        finally:
            with server.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        server.dispose()


def enroll_simulated(connection: Connection, count: int, now: float) -> None:
    """Enroll hosts of random keys named ``bench-000001`` and so on."""
    same = {"enrolled_at": now, "monitoring_changed_at": now, "services": []}
    for first in range(1, count + 1, _ROWS_AT_ONCE):
        numbers = range(first, min(first + _ROWS_AT_ONCE, count + 1))
        connection.execute(insert(hosts), [{"name": f"bench-{number:06d}", **same} for number in numbers])
    enrolled = list(connection.execute(select(hosts.c.id).order_by(hosts.c.id)).scalars())
    for first in range(0, count, _ROWS_AT_ONCE):
        host_ids = enrolled[first : first + _ROWS_AT_ONCE]
        connection.execute(
            insert(host_state), [{"host_id": host_id, "key": secrets.token_bytes(KEY_BYTES)} for host_id in host_ids]
        )


def begin_duties_anew(connection: Connection, start_at: float) -> None:
    """Let no duty have run, and deviations be looked for from the bucket on that starts then, in Unix seconds."""
    connection.execute(delete(duties))
    connection.execute(delete(filesystem_history))
    connection.execute(update(filesystem_lanes).values(read_at=0.0))
    connection.execute(update(deviation_lanes).values(until=start_at))


def hosts_with_filesystems(connection: Connection) -> int:
    """Count the hosts whose filesystems were looked at."""
    return connection.scalar(select(func.count()).select_from(filesystem_history)) or 0


def version(connection: Connection) -> str:
    """Return the database's name and version."""
    if connection.dialect.name == "sqlite":
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"
    return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"


def backend_pid(connection: Connection) -> int | None:
    """Return the pid of the server process behind this connection, None on SQLite, which has none."""
    if connection.dialect.name == "sqlite":
        return None
    pid: int = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return pid


@dataclass(frozen=True)
class Tally:
    """What is in the store of the snapshots that were sent."""

    rows: int
    duplicates: int
    """Rows beyond the first of the same host, incarnation and sequence."""
    expected_found: int
    """How many of the positions that were sent are there."""
    samples: int
    """Core metrics that are not missing, over all rows."""
    events: int
    dead_letters: int


def tally(connection: Connection, apart: int, incarnation: int, rounds: int) -> Tally:
    """Count what arrived; of each host sequences 1 to ``rounds`` of ``incarnation`` were sent.

    The snapshots of the host with the id ``apart`` are left out.
    """
    position = (snapshots.c.host_id, snapshots.c.incarnation, snapshots.c.sequence)
    sent = (snapshots.c.incarnation == incarnation) & snapshots.c.sequence.between(1, rounds)
    positions = (
        select(func.count().label("rows"), case((sent, 1), else_=0).label("sent"))
        .where(snapshots.c.host_id != apart)
        .group_by(*position)
        .subquery()
    )
    rows, distinct, expected = connection.execute(
        select(func.coalesce(func.sum(positions.c.rows), 0), func.count(), func.coalesce(func.sum(positions.c.sent), 0))
    ).one()
    return Tally(
        rows=int(rows),
        duplicates=int(rows) - distinct,
        expected_found=int(expected),
        samples=_samples(connection, apart),
        events=connection.scalar(select(func.count()).select_from(events)) or 0,
        dead_letters=connection.scalar(select(func.count()).select_from(dead_letters)) or 0,
    )


def _samples(connection: Connection, apart: int) -> int:
    query = select(snapshots.c.core).where(snapshots.c.host_id != apart)
    some = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)).scalars().partitions()
    return sum(int(np.count_nonzero(~np.isnan(np.frombuffer(b"".join(vectors), ">f4")))) for vectors in some)


def count_snapshots(connection: Connection, apart: Sequence[int]) -> int:
    """Count the snapshots of all hosts but those ``apart``."""
    counted = select(func.count()).select_from(snapshots).where(snapshots.c.host_id.not_in(apart))
    return connection.scalar(counted) or 0


@dataclass(frozen=True)
class ScriptTally:
    """How many scripts were asked for, and what became of them."""

    requested: int
    unfinished: int
    ready: int


def tally_scripts(connection: Connection) -> ScriptTally:
    """Count the scripts."""
    counted = connection.execute(select(scripts.c.state, func.count()).group_by(scripts.c.state))
    by_state: dict[str, int] = dict(counted.tuples().all())
    unfinished = by_state.get("queued", 0) + by_state.get("running", 0)
    return ScriptTally(sum(by_state.values()), unfinished, by_state.get("ready", 0))


def ready_scripts(connection: Connection, script_ids: Sequence[int]) -> list[int]:
    """Return those of these scripts that are there."""
    query = select(scripts.c.id).where(scripts.c.id.in_(script_ids), scripts.c.state == "ready")
    return list(connection.execute(query).scalars())
