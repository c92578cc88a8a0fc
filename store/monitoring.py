"""Writes of an operator: starting and stopping hosts, and clearing the view of events."""

from sqlalchemy import Connection, func, select, update

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
