"""Reads of incidents: pages of them, newest first, and one of them.

What an incident is like follows from its events, in SQL: a drain that changes an event need not know of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, case, func, literal_column, select, tuple_

from store import events
from store.events import Event, Severity, State
from store.schema import events as rows
from store.schema import hosts, incidents


@dataclass(frozen=True)
class Incident:
    """Events that belong together: of one host (``host``), or of one type on many hosts (``type``)."""

    id: int
    host_id: int | None
    host: str | None
    type: str | None
    tags: Sequence[str]
    """Those that all its hosts share, the one with the fewest hosts first; empty for one host."""
    opened_at: float
    last_opened_at: float
    """When its last event opened."""
    resolved_at: float | None
    """When the last of its events resolved; None while one is open."""
    events: int
    open_events: int
    muted_events: int
    """Of the open ones."""
    hosts: int
    cause: Event
    """The event that tells most of it: that a host is down, else the worst, of equal ones the first."""
    severity: Severity
    """Of the worst of its events."""


@dataclass(frozen=True)
class IncidentFilter:
    """Which incidents to read; None leaves a field open."""

    state: State | None = None
    host_id: int | None = None
    """Only those that have an event of this host."""
    since: float | None = None
    """Only those whose first event opened then or later."""


class Place(NamedTuple):
    """Where an incident stands in the order of the pages."""

    opened_at: float
    id: int


# As a literal: only then do both databases see that the partial index of open events answers it.
_is_open = rows.c.state == literal_column("'open'")
_SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
_rank = case({one: rank for rank, one in enumerate(_SEVERITIES)}, value=rows.c.severity)


def page(connection: Connection, wanted: IncidentFilter, *, limit: int, after: Place | None = None) -> list[Incident]:
    """Return incidents, the last opened first, from the first one behind ``after`` on."""
    # The open ones are few: "+ 0" keeps SQLite from walking all incidents in order instead.
    opened_at = incidents.c.opened_at + 0.0 if wanted.state == "open" else incidents.c.opened_at
    query = (
        select(incidents.c.id)
        .where(incidents.c.merged_into.is_(None))
        .order_by(opened_at.desc(), incidents.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(incidents.c.opened_at, incidents.c.id) < tuple_(*after))
    if wanted.state == "open":
        query = query.where(incidents.c.id.in_(select(rows.c.incident_id).where(_is_open)))
    elif wanted.state == "resolved":
        query = query.where(~select(rows.c.id).where(rows.c.incident_id == incidents.c.id, _is_open).exists())
    if wanted.host_id is not None:
        query = query.where(incidents.c.id.in_(select(rows.c.incident_id).where(rows.c.host_id == wanted.host_id)))
    if wanted.since is not None:
        query = query.where(incidents.c.opened_at >= wanted.since)
    return _read(connection, list(connection.execute(query).scalars()))


def find(connection: Connection, incident_id: int) -> Incident | None:
    """Return one incident, or the one that took its events; None where there is none."""
    query = select(func.coalesce(incidents.c.merged_into, incidents.c.id)).where(incidents.c.id == incident_id)
    found = connection.execute(query).scalar_one_or_none()
    incident = [] if found is None else _read(connection, [found])
    return incident[0] if incident else None


def _read(connection: Connection, ids: Sequence[int]) -> list[Incident]:
    """Return these incidents in this order."""
    query = (
        select(
            *(incidents.c[name] for name in ("id", "host_id", "type", "tags", "opened_at", "last_opened_at")),
            hosts.c.name.label("host"),
            func.max(rows.c.resolved_at).label("resolved_at"),
            func.count(rows.c.id).label("events"),
            func.sum(case((rows.c.state == "open", 1), else_=0)).label("open_events"),
            func.sum(case((rows.c.state != "open", 0), (rows.c.muted, 1), else_=0)).label("muted_events"),
            func.count(rows.c.host_id.distinct()).label("hosts"),
            func.max(_rank).label("worst"),
        )
        .select_from(incidents.join(rows, rows.c.incident_id == incidents.c.id))
        .outerjoin(hosts, hosts.c.id == incidents.c.host_id)
        .where(incidents.c.id.in_(ids))
        .group_by(incidents.c.id, hosts.c.name)
    )
    causes = _causes(connection, ids)
    found = {}
    for row in connection.execute(query).mappings():
        fields = dict(row)
        severity = _SEVERITIES[fields.pop("worst")]
        if fields["open_events"]:
            fields["resolved_at"] = None
        found[row["id"]] = Incident(**fields, cause=causes[row["id"]], severity=severity)
    return [found[one] for one in ids if one in found]


def _causes(connection: Connection, ids: Sequence[int]) -> dict[int, Event]:
    order = (rows.c.type != "host_down", -_rank, rows.c.opened_at, rows.c.id)
    place = func.row_number().over(partition_by=rows.c.incident_id, order_by=order)
    ranked = select(rows.c.id, place.label("place")).where(rows.c.incident_id.in_(ids)).subquery()
    first = list(connection.execute(select(ranked.c.id).where(ranked.c.place == 1)).scalars())
    return {event.incident_id: event for event in events.by_ids(connection, first) if event.incident_id is not None}
