"""Leases of periodic duties: of all workers that were rung for one, the first in a period does it."""

from sqlalchemy import Connection, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.schema import duties


def claim(connection: Connection, name: str, now: float, period_seconds: float) -> float | None:
    """Take the duty for this period; return since when it has run without a break, None where another took it.

    A break is three periods without a run: the workers were stopped, the machine slept, or the database was away.
    """
    _name(connection, name, now)
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


def hold(connection: Connection, name: str, now: float) -> bool:
    """Keep the duty to this transaction; return False where another transaction has it, without waiting."""
    _name(connection, name, now)
    held = select(duties.c.name).where(duties.c.name == name).with_for_update(skip_locked=True)
    return connection.scalar(held) is not None


def last_run(connection: Connection, name: str) -> float | None:
    """Return when a duty was last taken, None where it never was."""
    return connection.scalar(select(duties.c.run_at).where(duties.c.name == name, duties.c.run_at > 0))


def _name(connection: Connection, name: str, now: float) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(duties).values(name=name, run_at=0.0, since=now).on_conflict_do_nothing())
