"""Hosts that fell silent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, exists, func, select

from store.schema import events, host_state, hosts

_HOSTS_AT_ONCE = 5000


class QuietHost(NamedTuple):
    """A host that was not heard of for a while; times in Unix seconds."""

    host_id: int
    received_at: float | None
    """Its last snapshot, None where it never spoke."""
    watched_since: float
    """Its enrollment, or its last start."""
    interval_seconds: float
    tracks: bytes | None


def unheard_hosts(
    connection: Connection, intervals: float, shortest_seconds: float, since: float, now: float
) -> list[int]:
    """Return the ids of hosts of which nothing came for so many intervals of theirs since then, in Unix seconds.

    One table and no more: a sweep asks this of all hosts, every few seconds.
    """
    longest = func.greatest if connection.dialect.name == "postgresql" else func.max
    window = longest(intervals * host_state.c.interval_seconds, shortest_seconds)
    heard_at = longest(func.coalesce(host_state.c.received_at, 0.0), since)
    query = select(host_state.c.host_id).where(heard_at + window < now)
    return list(connection.execute(query.order_by(host_state.c.host_id)).scalars())


def quiet_hosts(connection: Connection, event_type: str, host_ids: Sequence[int]) -> Iterator[QuietHost]:
    """Yield those of these hosts that are monitored and have no open event of this type."""
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
        .where(hosts.c.revoked_at.is_(None), hosts.c.paused.is_(False), ~known)
        .order_by(hosts.c.id)
    )
    for first in range(0, len(host_ids), _HOSTS_AT_ONCE):
        for row in connection.execute(query.where(hosts.c.id.in_(host_ids[first : first + _HOSTS_AT_ONCE]))):
            yield QuietHost(
                row.id,
                row.received_at,
                row.monitoring_changed_at,
                # A slower pace that was asked for counts from the asking, not from the first snapshot at it.
                max(row.interval_seconds, row.asked_interval_seconds or 0.0),
                row.tracks,
            )
