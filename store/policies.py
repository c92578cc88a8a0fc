"""Policies: what is set for a type of event, for the fleet, for a tag or for a host. Every change is kept.

A policy is what it is of: scope, type and subject never change. Its settings do, each time as a new version; without
settings it is removed, and may come back.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.arrays import Integers, as_json
from store.hosts import HostName
from store.policy_types import Settings
from store.schema import hosts, policies, policy_versions, tags

log = logging.getLogger(__name__)

Scope = Literal["fleet", "tag", "host"]


class Target(NamedTuple):
    """What a policy is of."""

    scope: Scope
    tag: str
    """Empty unless the scope is one."""
    host_id: int | None
    """None unless the scope is a host."""
    type: str
    subject: str
    """A name or a pattern with ``*`` and ``?``; empty for every subject."""


class Governing(Struct, frozen=True):
    """A policy as far as detection needs it; its id is 0 where it is not saved yet."""

    id: int
    target: Target
    settings: Settings


@dataclass(frozen=True)
class Policy:
    """One policy at one of its versions. Times are Unix seconds."""

    id: int
    target: Target
    host: str | None
    """The name of the host."""
    version: int
    settings: Settings | None
    """None where this version removed it."""
    changed_at: float
    changed_by: str


class Outdated(ValueError):
    """A policy is at another version than the one that was to be changed."""

    def __init__(self, policy: Policy) -> None:
        """Tell of the policy as it is."""
        super().__init__(f"policy {policy.id} is at version {policy.version}")
        self.policy = policy


# Made once: to make it takes longer than to run it, and every drain does.
_IN_FORCE = select(
    policies.c.id,
    policies.c.scope,
    policies.c.tag,
    policies.c.host_id,
    policies.c.type,
    policies.c.subject,
    policies.c.settings,
).where(policies.c.in_force)
_CURRENT = (policies.c.version, policies.c.settings, policies.c.changed_at, policies.c.changed_by)
_OLD = (
    policy_versions.c.version,
    policy_versions.c.settings,
    policy_versions.c.changed_at,
    policy_versions.c.changed_by,
)


def in_force(connection: Connection) -> list[Governing]:
    """Return all policies there are, in no order: few, and read by every drain.

    One that cannot be read, of another version of Fleetmedic, is left out: it must not stop what comes in.
    """
    rows = connection.execute(_IN_FORCE)
    found = []
    for policy_id, *of, settings in rows:
        try:
            found.append(Governing(policy_id, Target(*of), msgspec.convert(settings, Settings)))
        except msgspec.ValidationError as error:
            log.error("policy %d is left out: %s", policy_id, error)
    return found


def tags_of(connection: Connection, host_ids: Sequence[int], wanted: Collection[str]) -> list[tuple[int, str]]:
    """Return which of these hosts have which of the wanted tags."""
    marks = tuple(sorted(wanted))
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            "SELECT host_id, tag FROM tags WHERE host_id = ANY(%b) AND tag = ANY(%b::varchar[])",
            (Integers(host_ids), list(marks)),
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT host_id, tag FROM tags WHERE host_id IN (SELECT value FROM json_each(?)) "
            "AND tag IN (SELECT value FROM json_each(?))",
            (as_json(host_ids), msgspec.json.encode(marks).decode()),
        )
    return [(host_id, tag) for host_id, tag in rows]


def hosts_of(connection: Connection, target: Target) -> list[HostName]:
    """Return the hosts that are in the scope of a policy, by their ids, revoked ones left out."""
    query = select(hosts.c.id, hosts.c.name).where(hosts.c.revoked_at.is_(None)).order_by(hosts.c.id)
    if target.scope == "host":
        query = query.where(hosts.c.id == target.host_id)
    if target.scope == "tag":
        query = query.where(hosts.c.id.in_(select(tags.c.host_id).where(tags.c.tag == target.tag)))
    return [HostName(*row) for row in connection.execute(query)]


def page(
    connection: Connection,
    *,
    limit: int,
    after_id: int = 0,
    scope: Scope | None = None,
    type: str | None = None,  # noqa: A002
) -> list[Policy]:
    """Return the policies that are in force, the oldest first, from the first id behind ``after_id`` on."""
    query = _select(_CURRENT).where(policies.c.in_force, policies.c.id > after_id).order_by(policies.c.id).limit(limit)
    if scope is not None:
        query = query.where(policies.c.scope == scope)
    if type is not None:
        query = query.where(policies.c.type == type)
    return [_policy(row) for row in connection.execute(query)]


def find(connection: Connection, policy_id: int) -> Policy | None:
    """Return one policy as it is, also a removed one; None where there is none."""
    row = connection.execute(_select(_CURRENT).where(policies.c.id == policy_id)).one_or_none()
    return _policy(row) if row else None


def find_of(connection: Connection, target: Target) -> Policy | None:
    """Return the policy of this target as it is, also a removed one; None where there was never one."""
    row = connection.execute(_select(_CURRENT).where(_is_of(target))).one_or_none()
    return _policy(row) if row else None


def versions(connection: Connection, policy_id: int, *, limit: int, before: int | None = None) -> list[Policy]:
    """Return a policy as it was at each version below ``before``, the newest first."""
    query = _select(_OLD).join(policy_versions).where(policies.c.id == policy_id)
    if before is not None:
        query = query.where(policy_versions.c.version < before)
    rows = connection.execute(query.order_by(policy_versions.c.version.desc()).limit(limit))
    return [_policy(row) for row in rows]


def save(
    connection: Connection, target: Target, settings: Settings | None, *, expected: int, now: float, by: str
) -> Policy:
    """Write the next version of the policy of a target, with None the one that removes it, and return it.

    ``expected`` is the version that it is at, 0 where it is not there yet. Raises Outdated.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    start = {"version": 0, "settings": None, "in_force": False, "changed_at": now, "changed_by": by}
    made = dialect.insert(policies).values(target._asdict() | start).on_conflict_do_nothing()
    connection.execute(made)
    connection.execute(select(policies.c.id).where(_is_of(target)).with_for_update())
    before = find_of(connection, target)
    assert before is not None
    # One that was removed is not there, and goes on where it ended.
    if expected != (before.version if before.settings is not None else 0):
        raise Outdated(before)
    change = {
        "version": before.version + 1,
        "settings": None if settings is None else msgspec.to_builtins(settings),
        "changed_at": now,
        "changed_by": by,
    }
    connection.execute(
        update(policies).where(policies.c.id == before.id).values(change | {"in_force": settings is not None})
    )
    connection.execute(insert(policy_versions).values(change | {"policy_id": before.id}))
    return Policy(before.id, target, before.host, before.version + 1, settings, now, by)


def _is_of(target: Target) -> ColumnElement[bool]:
    # A host_id of None is IS NULL.
    return and_(*(policies.c[name] == value for name, value in target._asdict().items()))


def _select(versioned: Sequence[Any]) -> Select[Any]:
    of = (policies.c.scope, policies.c.tag, policies.c.host_id, policies.c.type, policies.c.subject)
    return select(policies.c.id, *of, hosts.c.name, *versioned).outerjoin(hosts, hosts.c.id == policies.c.host_id)


def _policy(row: Any) -> Policy:
    policy_id, *of, host, version, settings, changed_at, changed_by = row
    return Policy(policy_id, Target(*of), host, version, _settings(settings), changed_at, changed_by)


def _settings(document: Any) -> Settings | None:
    return None if document is None else msgspec.convert(document, Settings)
