"""Leases of periodic duties: of all workers that were rung for one, the first in a period does it."""

from sqlalchemy import Connection, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.schema import duties


def claim(connection: Connection, name: str, now: float, period_seconds: float) -> float | None:
    """Take the duty for this period; return since when it has run without a break, None where another took it.

    A break is three periods without a run: the workers were stopped, the machine slept, or the database was away.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = dialect.insert(duties).values(name=name, run_at=0.0, since=now).on_conflict_do_nothing()
    connection.execute(first)
    # Half a period, since the rings are not exact; a time to come is that of a clock that was set back.
    due = or_(duties.c.run_at <= now - period_seconds / 2, duties.c.run_at > now + period_seconds)
    unbroken = duties.c.run_at.between(now - 3 * period_seconds, now)
    claimed = connection.execute(
        update(duties)
        .where(duties.c.name == name, due)
        .values(run_at=now, since=case((unbroken, duties.c.since), else_=now))
    )
    if not claimed.rowcount:
        return None
    return connection.scalar(select(duties.c.since).where(duties.c.name == name))


def last_run(connection: Connection, name: str) -> float | None:
    """Return when a duty was last taken, None where it never was."""
    return connection.scalar(select(duties.c.run_at).where(duties.c.name == name, duties.c.run_at > 0))
