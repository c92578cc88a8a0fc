"""Maintenance windows: of a host, of a tag, or of the fleet, in which events that open are muted."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, and_, func, insert, or_, select, tuple_, update

from store.schema import events, hosts, maintenance_windows, tags

Stage = Literal["upcoming", "active", "past"]

_window = maintenance_windows


@dataclass(frozen=True)
class Window:
    """One window. Times are Unix seconds; with neither host nor tag it is of the whole fleet."""

    id: int
    host_id: int | None
    host: str | None
    tag: str | None
    starts_at: float
    ends_at: float | None
    """None for never."""
    reason: str
    created_at: float
    created_by: str
    ended_by: str | None
    """Who made it end early, at ``ends_at``."""
    muted_events: int
    """How many events it mutes or has muted."""


class Place(NamedTuple):
    """Where a window stands in the order of the pages."""

    starts_at: float
    id: int


class Active(NamedTuple):
    """A window that a host is in."""

    id: int
    reason: str
    ends_at: float | None


def add(
    connection: Connection,
    *,
    host_id: int | None,
    tag: str | None,
    starts_at: float,
    ends_at: float | None,
    reason: str,
    by: str,
    now: float,
) -> int:
    """Announce a window; return its id."""
    row = {
        "host_id": host_id,
        "tag": tag,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "reason": reason,
        "created_at": now,
        "created_by": by,
    }
    added: int = connection.execute(insert(_window).returning(_window.c.id), row).scalar_one()
    return added


def end(connection: Connection, window_id: int, by: str, now: float) -> bool:
    """End a window early, before it starts too; return False where it has ended already."""
    ended = connection.execute(
        update(_window).where(_window.c.id == window_id, _ends_after(now)).values(ends_at=now, ended_by=by)
    )
    return bool(ended.rowcount)


def find(connection: Connection, window_id: int) -> Window | None:
    """Return one window, None where there is none."""
    row = connection.execute(_select_windows().where(_window.c.id == window_id)).mappings().one_or_none()
    return Window(**row) if row else None


def page(
    connection: Connection,
    *,
    limit: int,
    now: float,
    after: Place | None = None,
    stage: Stage | None = None,
    host_id: int | None = None,
) -> list[Window]:
    """Return windows, the last to start first; with ``host_id`` those that this host is in, by name, tag or fleet."""
    query = _select_windows().order_by(_window.c.starts_at.desc(), _window.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(_window.c.starts_at, _window.c.id) < tuple_(*after))
    if stage == "upcoming":
        query = query.where(_window.c.starts_at > now, _ends_after(now))
    elif stage == "active":
        query = query.where(_window.c.starts_at <= now, _ends_after(now))
    elif stage == "past":
        query = query.where(_window.c.ends_at <= now)
    if host_id is not None:
        mine = select(tags.c.tag).where(tags.c.host_id == host_id)
        query = query.where(or_(_window.c.host_id == host_id, _window.c.tag.in_(mine), _of_fleet()))
    return [Window(**row) for row in connection.execute(query).mappings()]


def stage_of(window: Window, now: float) -> Stage:
    """Return whether a window is still to come, or past."""
    if window.ends_at is not None and window.ends_at <= now:
        return "past"
    return "upcoming" if window.starts_at > now else "active"


def active_by_host(connection: Connection, host_ids: list[int], now: float) -> dict[int, Active]:
    """Return the window that each of these hosts is in, the one that ends last; hosts in none are left out."""
    active = (
        select(_window.c.id, _window.c.host_id, _window.c.tag, _window.c.reason, _window.c.ends_at)
        .where(_window.c.starts_at <= now, _ends_after(now))
        .order_by(_window.c.ends_at.is_not(None).desc(), _window.c.ends_at, _window.c.id)
    )
    windows = connection.execute(active).all()
    if not windows:
        return {}
    named = {row.tag for row in windows if row.tag is not None}
    bearing = select(tags.c.host_id, tags.c.tag).where(tags.c.tag.in_(named), tags.c.host_id.in_(host_ids))
    bearers: dict[str, list[int]] = {}
    for host_id, tag in connection.execute(bearing) if named else ():
        bearers.setdefault(tag, []).append(host_id)
    found: dict[int, Active] = {}
    for row in windows:
        if row.host_id is not None:
            covered = [row.host_id]
        else:
            covered = host_ids if row.tag is None else bearers.get(row.tag, [])
        found |= dict.fromkeys(covered, Active(row.id, row.reason, row.ends_at))
    return found


def _select_windows() -> Select[Any]:
    muted = (
        select(func.count())
        .select_from(events)
        .where(events.c.muted_by == "maintenance", events.c.muted_by_id == _window.c.id)
        .correlate(_window)
        .scalar_subquery()
    )
    return select(*_window.c, hosts.c.name.label("host"), muted.label("muted_events")).outerjoin(
        hosts, hosts.c.id == _window.c.host_id
    )


def _ends_after(moment: float) -> Any:
    return or_(_window.c.ends_at.is_(None), _window.c.ends_at > moment)


def _of_fleet() -> Any:
    return and_(_window.c.host_id.is_(None), _window.c.tag.is_(None))
