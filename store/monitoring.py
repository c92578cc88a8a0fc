"""Writes of an operator: starting and stopping hosts; acknowledging, resolving and clearing away events."""

from sqlalchemy import Connection, case, func, select, update

from store.schema import events, hosts


def set_paused(connection: Connection, host_id: int | None, paused: bool, now: float) -> int:
    """Start or stop a host, or with None all that are not revoked; return how many that are.

    A host that is already as asked stays untouched: the time since its last start counts for host_down.
    """
    meant = hosts.c.revoked_at.is_(None) if host_id is None else hosts.c.id == host_id
    connection.execute(
        update(hosts).where(meant, hosts.c.paused.is_not(paused)).values(paused=paused, monitoring_changed_at=now)
    )
    return connection.scalar(select(func.count()).select_from(hosts).where(meant)) or 0


def clear_resolved(connection: Connection, host_id: int | None, now: float) -> int:
    """Hide the resolved events of a host, or with None of all, from the default view; return how many were hidden."""
    query = update(events).where(events.c.state == "resolved", events.c.cleared_at.is_(None)).values(cleared_at=now)
    if host_id is not None:
        query = query.where(events.c.host_id == host_id)
    return connection.execute(query).rowcount


def acknowledge(connection: Connection, event_id: int, who: str, now: float) -> bool:
    """Acknowledge an open event; return whether it is open. Who was first stays."""
    is_open = (events.c.id == event_id, events.c.state == "open")
    mine = update(events).where(*is_open, events.c.acknowledged_at.is_(None))
    connection.execute(mine.values(acknowledged_at=now, acknowledged_by=who))
    return connection.scalar(select(func.count()).select_from(events).where(*is_open)) == 1


def resolve(connection: Connection, event_id: int, who: str, now: float) -> None:
    """Resolve an event by hand, where it is open.

    Its track is left to the drains: while what it tells of goes on it stays resolved, and it opens again only after
    that was over.
    """
    still_open = update(events).where(events.c.id == event_id, events.c.state == "open")
    # The drains' clock and this one may differ; it ended no sooner than it began.
    ended = case((events.c.opened_at > now, events.c.opened_at), else_=now)
    connection.execute(still_open.values(state="resolved", resolved_at=ended, resolved_by=who))
