"""Reads of events: pages of them, newest first, and one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, func, literal_column, select, tuple_

from store.schema import event_notes, events, hosts, scripts

Severity = Literal["low", "medium", "high", "critical"]
State = Literal["open", "resolved"]
Muter = Literal["host_down", "maintenance"]


@dataclass(frozen=True)
class Event:
    """One event, with the name of its host. Times are Unix seconds."""

    id: int
    host_id: int
    host: str
    type: str
    subject: str
    """Empty where the host itself is the subject."""
    severity: Severity
    state: State
    limit_value: float | None
    first_value: float | None
    value: float | None
    peak_value: float | None
    peak_at: float | None
    started_at: float
    opened_at: float
    last_at: float
    resolved_at: float | None
    cleared_at: float | None
    evidence: Any
    """Of the moment it last opened."""
    explanation: str | None
    """In plain words; None until a worker came to it."""
    acknowledged_at: float | None
    acknowledged_by: str | None
    resolved_by: str | None
    """None where it resolved by itself."""
    flapping: bool
    openings: int
    reopened_at: float | None
    """When it last opened, None where that was the first time."""
    notes: int
    """How many there are of it."""
    incident_id: int | None
    """None for the moment until it is in one."""
    muted: bool
    """Now, or until it resolved: it does not count for its host."""
    muted_by: Muter | None
    """What mutes it, or did so last."""
    muted_by_id: int | None
    """Of the event ``host_down``, or of the maintenance window."""
    script_id: int | None
    """Of the script that came by itself with it; None where no remedy answers it."""


@dataclass(frozen=True)
class EventFilter:
    """Which events to read; None leaves a field open."""

    type: str | None = None
    severity: Severity | None = None
    state: State | None = None
    host_id: int | None = None
    since: float | None = None
    """Only events that opened then or later."""
    incident_id: int | None = None
    muted: bool | None = None
    maintenance_id: int | None = None
    """Only events that this maintenance window mutes or has muted."""
    hide_cleared: bool = False


class Place(NamedTuple):
    """Where an event stands in the order of the pages."""

    opened_at: float
    id: int


@dataclass(frozen=True)
class OpenEvents:
    """How many events of one type and severity are open."""

    type: str
    severity: Severity
    count: int


def page(connection: Connection, wanted: EventFilter, *, limit: int, after: Place | None = None) -> list[Event]:
    """Return events, the last opened first, from the first one behind ``after`` on."""
    # The open ones are few and have an index of their own: "+ 0" keeps SQLite from walking all events in order instead.
    opened_at = events.c.opened_at + 0.0 if wanted.state == "open" else events.c.opened_at
    query = _select_events().order_by(opened_at.desc(), events.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(events.c.opened_at, events.c.id) < tuple_(*after))
    if wanted.type is not None:
        query = query.where(events.c.type == wanted.type)
    if wanted.severity is not None:
        query = query.where(events.c.severity == wanted.severity)
    if wanted.state is not None:
        # As a literal: only then do both databases see that the partial index of open events answers it.
        query = query.where(events.c.state == bindparam("state", wanted.state, literal_execute=True))
    if wanted.host_id is not None:
        query = query.where(events.c.host_id == wanted.host_id)
    if wanted.since is not None:
        query = query.where(events.c.opened_at >= wanted.since)
    if wanted.incident_id is not None:
        query = query.where(events.c.incident_id == wanted.incident_id)
    if wanted.muted is not None:
        query = query.where(events.c.muted.is_(wanted.muted))
    if wanted.maintenance_id is not None:
        query = query.where(events.c.muted_by == "maintenance", events.c.muted_by_id == wanted.maintenance_id)
    if wanted.hide_cleared:
        query = query.where(events.c.cleared_at.is_(None))
    return [Event(**row) for row in connection.execute(query).mappings()]


def find(connection: Connection, event_id: int) -> Event | None:
    """Return one event, None where there is none."""
    row = connection.execute(_select_events().where(events.c.id == event_id)).mappings().one_or_none()
    return Event(**row) if row else None


def by_ids(connection: Connection, event_ids: Sequence[int]) -> list[Event]:
    """Return these events, in any order."""
    return [Event(**row) for row in connection.execute(_select_events().where(events.c.id.in_(event_ids))).mappings()]


def count_open(connection: Connection) -> list[OpenEvents]:
    """Count the open events of all hosts that are not revoked, by type and severity; none that is muted."""
    query = (
        select(events.c.type, events.c.severity, func.count())
        .join(hosts, hosts.c.id == events.c.host_id)
        # As a literal: only then do both databases see that the partial index of open events answers it.
        .where(events.c.state == literal_column("'open'"), ~events.c.muted, hosts.c.revoked_at.is_(None))
        .group_by(events.c.type, events.c.severity)
        .order_by(events.c.type, events.c.severity)
    )
    return [OpenEvents(*row) for row in connection.execute(query)]


def count_muted(connection: Connection) -> int:
    """Count the open events that are muted, of all hosts that are not revoked."""
    query = (
        select(func.count())
        .select_from(events.join(hosts, hosts.c.id == events.c.host_id))
        .where(events.c.state == literal_column("'open'"), events.c.muted, hosts.c.revoked_at.is_(None))
    )
    return connection.scalar(query) or 0


def _select_events() -> Select[Any]:
    notes = select(func.count()).where(event_notes.c.event_id == events.c.id).scalar_subquery()
    own_script = and_(scripts.c.event_id == events.c.id, scripts.c.automatic)
    return (
        select(*events.c, hosts.c.name.label("host"), notes.label("notes"), scripts.c.id.label("script_id"))
        .join(hosts, hosts.c.id == events.c.host_id)
        .outerjoin(scripts, own_script)
    )
