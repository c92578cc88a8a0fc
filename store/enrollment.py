"""Enrollment: the row, the key and the first state of a new host."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.hosts import NAME_PATTERN
from store.schema import host_state, hosts, tags
from wire.config import MAXIMUM_INTERVAL_SECONDS, MINIMUM_INTERVAL_SECONDS, SERVICE_NAME_PATTERN
from wire.entry import KEY_BYTES

_NAME = re.compile(NAME_PATTERN)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=/-]{0,63}")
_SERVICE = re.compile(SERVICE_NAME_PATTERN)


class EnrollmentRefused(ValueError):
    """A host that cannot be enrolled as asked; the message says which part is wrong and what is needed."""


@dataclass(frozen=True)
class EnrolledHost:
    """A host that the store knows, with the secret that it signs by."""

    id: int
    name: str
    key: bytes = field(repr=False)


def enroll(
    connection: Connection,
    name: str,
    *,
    now: float,
    tags_of_host: Sequence[str] = (),
    services: Sequence[str] = (),
    interval_seconds: float | None = None,
) -> EnrolledHost:
    """Make a host with a key of its own; from now on it counts as silent until it speaks.

    ``interval_seconds`` of None leaves the collector's own. Raises EnrollmentRefused; the caller's transaction stays
    usable then.
    """
    _check(name, tags_of_host, services, interval_seconds)
    key = secrets.token_bytes(KEY_BYTES)
    row = {
        "name": name,
        "enrolled_at": now,
        "monitoring_changed_at": now,
        "interval_seconds": interval_seconds,
        "services": list(dict.fromkeys(services)),
    }
    try:
        with connection.begin_nested():
            host_id: int = connection.execute(insert(hosts).returning(hosts.c.id), row).scalar_one()
    except IntegrityError:
        raise EnrollmentRefused(f"a host named {name} is enrolled already: choose another name") from None
    # Where no interval is asked for, the column's default stands until the first snapshot tells.
    asked = {} if interval_seconds is None else {"interval_seconds": interval_seconds}
    connection.execute(insert(host_state), {"host_id": host_id, "key": key, **asked})
    if tags_of_host:
        connection.execute(insert(tags), [{"host_id": host_id, "tag": tag} for tag in dict.fromkeys(tags_of_host)])
    return EnrolledHost(host_id, name, key)


def enrolled_hosts(connection: Connection) -> list[EnrolledHost]:
    """Return all hosts that were not revoked."""
    query = (
        select(hosts.c.id, hosts.c.name, host_state.c.key)
        .join(host_state, host_state.c.host_id == hosts.c.id)
        .where(host_state.c.key.is_not(None))
        .order_by(hosts.c.id)
    )
    return [EnrolledHost(*row) for row in connection.execute(query)]


def revoke(connection: Connection, host_id: int, now: float) -> None:
    """Take a host's key away: from now on its entries are refused, and it is in no list."""
    connection.execute(update(hosts).where(hosts.c.id == host_id).values(revoked_at=now))
    connection.execute(update(host_state).where(host_state.c.host_id == host_id).values(key=None))


def _check(name: str, tags_of_host: Sequence[str], services: Sequence[str], interval_seconds: float | None) -> None:
    if not _NAME.fullmatch(name):
        raise EnrollmentRefused(
            f"the name {name!r} cannot be used: 1 to 63 letters, digits, dots, dashes and underscores are needed, "
            "starting with a letter or digit and not all digits"
        )
    for tag in tags_of_host:
        if not _TAG.fullmatch(tag):
            raise EnrollmentRefused(
                f"the tag {tag!r} cannot be used: 1 to 64 letters, digits and . _ : = / - are needed, "
                "starting with a letter or digit"
            )
    for service in services:
        if not _SERVICE.fullmatch(service):
            raise EnrollmentRefused(f"the service {service!r} cannot be used: the name of a systemd unit is needed")
    if interval_seconds is not None and not MINIMUM_INTERVAL_SECONDS <= interval_seconds <= MAXIMUM_INTERVAL_SECONDS:
        raise EnrollmentRefused(
            f"the interval {interval_seconds:g} cannot be used: "
            f"{MINIMUM_INTERVAL_SECONDS:g} to {MAXIMUM_INTERVAL_SECONDS:g} seconds are needed"
        )
