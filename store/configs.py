"""The desired config of hosts, as their collectors are told it."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from store.schema import hosts
from wire.config import HostConfig


def desired_configs(connection: Connection, host_ids: Sequence[int] | None) -> Iterator[tuple[int, HostConfig]]:
    """Yield (host id, config) of these hosts, or with None of all that are not revoked."""
    query = select(
        hosts.c.id, hosts.c.paused, hosts.c.interval_seconds, hosts.c.services, hosts.c.minimum_incarnation
    ).where(hosts.c.revoked_at.is_(None) if host_ids is None else hosts.c.id.in_(host_ids))
    # As they come: a fleet's configs need not be in memory at once.
    for host_id, paused, interval_seconds, services, minimum_incarnation in connection.execute(
        query, execution_options={"yield_per": 1000}
    ):
        yield host_id, HostConfig(paused, interval_seconds, tuple(services), minimum_incarnation)
