"""What the duty triage reads and writes: events that are in no incident yet, and what mutes events.

A drain updates the rows of open events too, in an order of its own. So every row is locked as it is read, and passed
over where a drain has it: nobody waits for anybody, and the next round finds it.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)

from store.arrays import Integers, unnested
from store.schema import events, hosts, incidents, maintenance_windows, tags

Muter = Literal["host_down", "maintenance"]


class EventRow(NamedTuple):
    """An open or resolved event as triage sees it; ``incident_id`` is None while it is new."""

    id: int
    host_id: int
    type: str
    opened_at: float
    is_open: bool
    incident_id: int | None = None


class IncidentRow(NamedTuple):
    """An incident that events may join: of one host (``host_id``), or of many (``type``). Times are Unix seconds."""

    id: int
    host_id: int | None
    type: str | None
    tags: tuple[str, ...]
    opened_at: float
    last_opened_at: float


class Muting(NamedTuple):
    """What becomes of one event; ``muted`` is false where what muted it is over."""

    event_id: int
    host_id: int
    muted: bool
    by: Muter
    by_id: int


# As literals: only then do both databases see that their partial indexes answer it.
_is_open = events.c.state == literal_column("'open'")
_is_muted = text("events.muted")
_counts = text("NOT events.muted")
_is_new = events.c.incident_id.is_(None)
_down = events.alias("down")
_is_down = and_(_down.c.state == literal_column("'open'"), _down.c.type == literal_column("'host_down'"))
_window = maintenance_windows
_scopes = (
    _window.join(events, events.c.host_id == _window.c.host_id),
    _window.join(tags, tags.c.tag == _window.c.tag).join(events, events.c.host_id == tags.c.host_id),
    _window.join(events, and_(_window.c.host_id.is_(None), _window.c.tag.is_(None))),
)
_MUTED_ROWS = unnested(("muted", "muted_by", "muted_by_id", "id"), {"muted": "bool[]", "muted_by": "text[]"})
_EVENT = (
    events.c.id,
    events.c.host_id,
    events.c.type,
    events.c.opened_at,
    (events.c.state == "open").label("is_open"),
    events.c.incident_id,
)
_INCIDENT = (
    incidents.c.id,
    incidents.c.host_id,
    incidents.c.type,
    incidents.c.tags,
    incidents.c.opened_at,
    incidents.c.last_opened_at,
)


def has_work(connection: Connection, now: float) -> bool:
    """Tell whether there is an event without an incident, or one to be muted or unmuted."""
    questions = (select(events.c.id).where(_is_new), _over(now), _of_hosts_down(), *_in_windows(now))
    return any(connection.execute(question.limit(1)).first() for question in questions)


def new_events(connection: Connection, limit: int) -> list[EventRow]:
    """Return events that are in no incident yet, the first opened first."""
    query = select(*_EVENT).where(_is_new).order_by(events.c.opened_at).limit(limit)
    return [EventRow(*row) for row in connection.execute(_locked(query))]


def events_of_one_host(connection: Connection, types: Collection[str], start: float, end: float) -> list[EventRow]:
    """Return the events of these types that opened between these times and are in an incident of one host."""
    query = (
        select(*_EVENT)
        .join(incidents, incidents.c.id == events.c.incident_id)
        .where(incidents.c.host_id.is_not(None), incidents.c.last_opened_at >= start)
        .where(events.c.type.in_(types), events.c.opened_at.between(start, end))
    )
    return [EventRow(*row) for row in connection.execute(_locked(query))]


def incidents_of_many_hosts(
    connection: Connection, types: Collection[str], start: float, end: float
) -> list[IncidentRow]:
    """Return the incidents of these types that went on between these times."""
    query = select(*_INCIDENT).where(
        incidents.c.type.in_(types), incidents.c.last_opened_at >= start, incidents.c.opened_at <= end
    )
    return _incidents(connection, query.order_by(incidents.c.opened_at))


def open_incidents_of_hosts(connection: Connection, host_ids: Collection[int], start: float) -> list[IncidentRow]:
    """Return the incidents of one of these hosts alone that are open, and whose last event opened since ``start``."""
    query = (
        select(*_INCIDENT)
        .where(incidents.c.host_id.in_(host_ids), incidents.c.last_opened_at >= start)
        .where(select(events.c.id).where(events.c.incident_id == incidents.c.id, _is_open).exists())
    )
    return _incidents(connection, query)


def tags_of(connection: Connection, host_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """Return the tags of those of these hosts that have any."""
    found: dict[int, set[str]] = {}
    for host_id, tag in connection.execute(select(tags.c.host_id, tags.c.tag).where(tags.c.host_id.in_(host_ids))):
        found.setdefault(host_id, set()).add(tag)
    return {host_id: frozenset(mine) for host_id, mine in found.items()}


def monitored_by_tag(connection: Connection, wanted: Collection[str]) -> dict[str, int]:
    """Return how many monitored hosts bear each of these tags."""
    query = (
        select(tags.c.tag, func.count())
        .join(hosts, hosts.c.id == tags.c.host_id)
        .where(tags.c.tag.in_(wanted), hosts.c.revoked_at.is_(None), hosts.c.paused.is_(False))
        .group_by(tags.c.tag)
    )
    return dict(tuple(row) for row in connection.execute(query))


def monitored(connection: Connection) -> int:
    """Return how many hosts are monitored."""
    query = select(func.count()).select_from(hosts).where(hosts.c.revoked_at.is_(None), hosts.c.paused.is_(False))
    return connection.scalar(query) or 0


def add_incidents(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert incidents, by column; return their ids in the same order."""
    if not rows:
        return []
    new = insert(incidents).returning(incidents.c.id, sort_by_parameter_order=True)
    return list(connection.execute(new, list(rows)).scalars())


def extend_incidents(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``tags``, ``opened_at`` and ``last_opened_at`` of incidents that gained events; ``known`` is its id."""
    if rows:
        connection.execute(update(incidents).where(incidents.c.id == bindparam("known")), list(rows))


def assign(connection: Connection, incident_ids: Sequence[int], event_ids: Sequence[int]) -> None:
    """Put events into incidents, given as two columns."""
    if not event_ids:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            f"UPDATE events AS e SET incident_id = u.incident_id FROM {unnested(('incident_id', 'id'))} "  # noqa: S608 - no value
            "WHERE e.id = u.id",
            (Integers(incident_ids), Integers(event_ids)),
        )
    else:
        connection.exec_driver_sql(
            "UPDATE events SET incident_id = ? WHERE id = ?", list(zip(incident_ids, event_ids, strict=True))
        )


def merge(connection: Connection, into_by_loser: dict[int, int]) -> None:
    """Say of incidents that lost events when those that are left opened, or which incident took them all."""
    for loser, into in into_by_loser.items():
        left = connection.execute(
            select(func.min(events.c.opened_at), func.max(events.c.opened_at)).where(events.c.incident_id == loser)
        ).one()
        changed = {"merged_into": into} if left[0] is None else {"opened_at": left[0], "last_opened_at": left[1]}
        connection.execute(update(incidents).where(incidents.c.id == loser).values(changed))


def to_unmute(connection: Connection, now: float, limit: int) -> list[Muting]:
    """Return the open events that are muted by what is over."""
    return [
        Muting(row.id, row.host_id, False, row.muted_by, row.muted_by_id)
        for row in connection.execute(_locked(_over(now).limit(limit)))
    ]


def to_mute(connection: Connection, now: float, limit: int) -> list[Muting]:
    """Return the events that are to be muted: that opened in a window that is active, or whose host is down.

    A window comes before a host that is down, and the one that ends last before others.
    """
    down = connection.execute(_locked(_of_hosts_down().limit(limit)))
    found = {row.id: Muting(row.id, row.host_id, True, "host_down", row.muter) for row in down}
    in_windows = [row for query in _in_windows(now) for row in connection.execute(_locked(query.limit(limit)))]
    for row in sorted(in_windows, key=lambda row: math.inf if row.ends_at is None else row.ends_at):
        found[row.id] = Muting(row.id, row.host_id, True, "maintenance", row.muter)
    return list(found.values())


def set_muted(connection: Connection, changes: Sequence[Muting]) -> None:
    """Mute and unmute events."""
    if not changes:
        return
    columns = list(zip(*((one.muted, one.by, one.by_id, one.event_id) for one in changes), strict=True))
    if connection.dialect.name == "postgresql":
        muted, by, by_ids, ids = (list(column) for column in columns)
        connection.exec_driver_sql(
            "UPDATE events AS e SET muted = u.muted, muted_by = u.muted_by, muted_by_id = u.muted_by_id "  # noqa: S608 - no value
            f"FROM {_MUTED_ROWS} WHERE e.id = u.id",
            (muted, by, Integers(by_ids), Integers(ids)),
        )
    else:
        connection.exec_driver_sql(
            "UPDATE events SET muted = ?, muted_by = ?, muted_by_id = ? WHERE id = ?",
            list(zip(*columns, strict=True)),
        )


def _incidents(connection: Connection, query: Select[Any]) -> list[IncidentRow]:
    return [
        IncidentRow(**row | {"tags": tuple(row["tags"])}) for row in map(dict, connection.execute(query).mappings())
    ]


def _over(now: float) -> Select[Any]:
    return (
        select(events.c.id, events.c.host_id, events.c.muted_by, events.c.muted_by_id)
        .outerjoin(_down, and_(events.c.muted_by == "host_down", _down.c.id == events.c.muted_by_id))
        .outerjoin(_window, and_(events.c.muted_by == "maintenance", _window.c.id == events.c.muted_by_id))
        .where(_is_open, _is_muted, or_(_down.c.state == "resolved", _window.c.ends_at <= now))
    )


def _of_hosts_down() -> Select[Any]:
    return (
        select(events.c.id, events.c.host_id, _down.c.id.label("muter"))
        .select_from(_down.join(events, events.c.host_id == _down.c.host_id))
        .where(_is_down, _is_open, _counts, events.c.type != "host_down")
    )


def _in_windows(now: float) -> Iterable[Select[Any]]:
    active = and_(_window.c.starts_at <= now, _ends_after(now))
    last_opened_at = func.coalesce(events.c.reopened_at, events.c.opened_at)
    while_active = and_(_is_open, _counts, last_opened_at >= _window.c.starts_at)
    # Of those that are over already, the window may be so too.
    within = and_(events.c.opened_at >= _window.c.starts_at, _ends_after(events.c.opened_at))
    before = and_(_is_new, events.c.state == "resolved", within)
    for scope in _scopes:
        for condition in (and_(active, while_active), and_(before, _counts)):
            yield (
                select(events.c.id, events.c.host_id, _window.c.id.label("muter"), _window.c.ends_at)
                .select_from(scope)
                .where(condition)
            )


def _ends_after(moment: float | ColumnElement[float]) -> ColumnElement[bool]:
    return or_(_window.c.ends_at.is_(None), _window.c.ends_at > moment)


def _locked(query: Select[Any]) -> Select[Any]:
    return query.with_for_update(of=events, key_share=True, skip_locked=True)
