"""Reads of hosts: pages of them, one of them, the health of all.

A host's health follows from its open events, in SQL, so that one definition serves pages, filters and counts.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    false,
    func,
    literal_column,
    select,
)

from store.schema import events, host_details, host_state, hosts, tags
from store.snapshots import latest
from wire.metrics import NAMES

Health = Literal["healthy", "warning", "critical", "unknown"]

NAME_PATTERN = r"^(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
"""The name of a host: never all digits, so that a reference is either an id or a name."""
MAX_ID = 2**63 - 1

_NO_METRICS: Mapping[str, float | None] = dict.fromkeys(NAMES)

# As a literal: only then do both databases see that the partial index of open events answers it. What is muted does
# not count.
_counts = and_(events.c.state == literal_column("'open'"), ~events.c.muted)
_severe = case((events.c.severity.in_(("high", "critical")), 2), else_=1)
_hosts_and_state = hosts.outerjoin(host_state, host_state.c.host_id == hosts.c.id)


def _health(worst: ColumnElement[int]) -> ColumnElement[str]:
    """Return a host's health, given 2 where a high or critical event is open, 1 where another is, else NULL."""
    never_seen = host_state.c.received_at.is_(None)
    return case({2: "critical", 1: "warning"}, value=worst, else_=case((never_seen, "unknown"), else_="healthy"))


# Of one host: for a page of them, or one.
# No type is empty; saying so is what makes SQLite prefer the index of open events to that of all events of a host.
_open_here = and_(events.c.host_id == hosts.c.id, _counts, events.c.type > "")
_open_events_here = select(func.count()).select_from(events).where(_open_here).correlate(hosts).scalar_subquery()
_worst_here = select(func.max(_severe)).where(_open_here).correlate(hosts).scalar_subquery()

# Of all hosts: the open events first, since most hosts have none.
_troubled = (
    select(events.c.host_id, func.count().label("open_events"), func.max(_severe).label("worst"))
    .where(_counts)
    .group_by(events.c.host_id)
    .subquery()
)
_each_host = (
    select(
        hosts.c.id,
        hosts.c.paused,
        _health(_troubled.c.worst).label("health"),
        func.coalesce(_troubled.c.open_events, 0).label("open_events"),
    )
    .select_from(_hosts_and_state.outerjoin(_troubled, _troubled.c.host_id == hosts.c.id))
    .where(hosts.c.revoked_at.is_(None))
    .subquery()
)


class HostName(NamedTuple):
    """A host that is known to exist."""

    id: int
    name: str


@dataclass(frozen=True)
class Host:
    """A host as lists show it."""

    id: int
    name: str
    health: Health
    received_at: float | None
    """The server's clock at its last snapshot, None before the first."""
    paused: bool
    interval_seconds: float | None
    """The pace of its last snapshot; before the first the one that is asked of it, if any."""
    open_events: int
    tags: tuple[str, ...]
    metrics: Mapping[str, float | None]
    """Every core metric of the last snapshot, None where the host has no such value."""


@dataclass(frozen=True)
class Fleet:
    """All hosts that are not revoked, counted."""

    hosts_by_health: Mapping[str, int]
    """How many hosts have each health, all four named."""
    monitored: int
    """Hosts that are not paused."""
    open_events: int


class StoredDetails(NamedTuple):
    """A host's latest ``wire.snapshot.Details``, encoded as it came, and when it was taken."""

    taken_at: float
    details: bytes


def page(
    connection: Connection,
    *,
    limit: int,
    after: str | None = None,
    health: Health | None = None,
    tag: str | None = None,
    name_prefix: str | None = None,
) -> list[Host]:
    """Return hosts in the order of their names, from the first name behind ``after`` on, revoked ones left out.

    A name matches ``name_prefix`` in any case.
    """
    query = _select_hosts().where(hosts.c.revoked_at.is_(None)).order_by(hosts.c.name).limit(limit)
    if after is not None:
        query = query.where(hosts.c.name > after)
    if health is not None:
        query = query.where(hosts.c.id.in_(select(_each_host.c.id).where(_each_host.c.health == health)))
    if tag is not None:
        query = query.where(hosts.c.id.in_(select(tags.c.host_id).where(tags.c.tag == tag)))
    if name_prefix is not None:
        query = query.where(func.lower(hosts.c.name).startswith(name_prefix.lower(), autoescape=True))
    return _with_tags_and_metrics(connection, connection.execute(query).all())


def find(connection: Connection, reference: str) -> Host | None:
    """Return the host with this id or name, None where there is none."""
    rows = connection.execute(_select_hosts().where(_refers(reference))).all()
    found = _with_tags_and_metrics(connection, rows)
    return found[0] if found else None


def identify(connection: Connection, reference: str) -> HostName | None:
    """Return id and name of the host with this id or name, None where there is none."""
    row = connection.execute(select(hosts.c.id, hosts.c.name).where(_refers(reference))).one_or_none()
    return HostName(*row) if row else None


def only(connection: Connection) -> HostName | None:
    """Return the one host of a fleet of one, else None."""
    rows = connection.execute(select(hosts.c.id, hosts.c.name).where(hosts.c.revoked_at.is_(None)).limit(2)).all()
    return HostName(*rows[0]) if len(rows) == 1 else None


def details(connection: Connection, host_id: int) -> StoredDetails | None:
    """Return the latest details of a host, None before its first snapshot."""
    query = select(host_details.c.taken_at, host_details.c.details).where(host_details.c.host_id == host_id)
    row = connection.execute(query).one_or_none()
    return StoredDetails(*row) if row else None


def fleet(connection: Connection) -> Fleet:
    """Count the hosts by health, and their open events."""
    query = select(
        _each_host.c.health,
        func.count(),
        func.sum(case((_each_host.c.paused, 0), else_=1)),
        func.sum(_each_host.c.open_events),
    ).group_by(_each_host.c.health)
    counts = {"healthy": 0, "warning": 0, "critical": 0, "unknown": 0}
    monitored = open_events = 0
    for health, count, count_monitored, count_open in connection.execute(query):
        counts[health] = count
        monitored += count_monitored
        open_events += int(count_open)
    return Fleet(counts, monitored, open_events)


def _refers(reference: str) -> ColumnElement[bool]:
    if reference.isascii() and reference.isdigit() and len(reference) <= len(str(MAX_ID)):
        host_id = int(reference)
        return hosts.c.id == host_id if host_id <= MAX_ID else false()
    return hosts.c.name == reference if re.match(NAME_PATTERN, reference) else false()


def _select_hosts() -> Select[tuple[int, str, bool, float | None, float | None, float | None, str, int]]:
    return select(
        hosts.c.id,
        hosts.c.name,
        hosts.c.paused,
        hosts.c.interval_seconds.label("asked_interval_seconds"),
        host_state.c.received_at,
        host_state.c.interval_seconds,
        _health(_worst_here).label("health"),
        _open_events_here.label("open_events"),
    ).select_from(_hosts_and_state)


def _with_tags_and_metrics(
    connection: Connection,
    rows: Sequence[Row[tuple[int, str, bool, float | None, float | None, float | None, str, int]]],
) -> list[Host]:
    ids = [row.id for row in rows]
    tags_of = _tags(connection, ids)
    metrics_of = _latest_metrics(connection, ids)
    return [
        Host(
            id=row.id,
            name=row.name,
            health=row.health,
            received_at=row.received_at,
            paused=row.paused,
            interval_seconds=row.asked_interval_seconds if row.received_at is None else row.interval_seconds,
            open_events=row.open_events,
            tags=tuple(tags_of.get(row.id, ())),
            metrics=metrics_of.get(row.id, _NO_METRICS),
        )
        for row in rows
    ]


def _tags(connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    tags_of: dict[int, list[str]] = {}
    for host_id, tag in connection.execute(
        select(tags.c.host_id, tags.c.tag).where(tags.c.host_id.in_(ids)).order_by(tags.c.tag)
    ):
        tags_of.setdefault(host_id, []).append(tag)
    return tags_of


def _latest_metrics(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, float | None]]:
    """Return the core metrics of the last snapshot of each host that has one."""
    return {
        host_id: {name: None if math.isnan(value) else value for name, value in zip(NAMES, values, strict=True)}
        for host_id, values in ((host_id, core.tolist()) for host_id, core in latest(connection, ids, NAMES).items())
    }
