"""Hosts that fell silent."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, exists, func, select

from store.schema import events, host_state, hosts


class QuietHost(NamedTuple):
    """A host that was not heard of for a while; times in Unix seconds."""

    host_id: int
    received_at: float | None
    """Its last snapshot, None where it never spoke."""
    watched_since: float
    """Its enrollment, or its last start."""
    interval_seconds: float
    tracks: bytes | None


def quiet_hosts(
    connection: Connection, event_type: str, before: float, host_ids: Sequence[int] | None = None
) -> list[QuietHost]:
    """Return monitored hosts that were last heard of before then and have no open event of this type."""
    last_heard = func.coalesce(host_state.c.received_at, hosts.c.enrolled_at)
    known = exists().where(events.c.host_id == hosts.c.id, events.c.type == event_type, events.c.state == "open")
    query = (
        select(
            hosts.c.id,
            host_state.c.received_at,
            hosts.c.monitoring_changed_at,
            host_state.c.interval_seconds,
            hosts.c.interval_seconds.label("asked_interval_seconds"),
            host_state.c.tracks,
        )
        .join(host_state, host_state.c.host_id == hosts.c.id)
        .where(hosts.c.revoked_at.is_(None), hosts.c.paused.is_(False), last_heard < before, ~known)
        .order_by(hosts.c.id)
    )
    if host_ids is not None:
        query = query.where(hosts.c.id.in_(host_ids))
    return [
        QuietHost(
            row.id,
            row.received_at,
            row.monitoring_changed_at,
            # A slower pace that was asked for counts from the asking, not from the first snapshot at it.
            max(row.interval_seconds, row.asked_interval_seconds or 0.0),
            row.tracks,
        )
        for row in connection.execute(query)
    ]
