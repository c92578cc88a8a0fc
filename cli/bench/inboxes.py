"""The inboxes as a bench uses them: filled as collectors fill them, held back, released all at once."""

import secrets
import time
from collections.abc import Callable, Iterable
from itertools import islice

import redis

from cli.bench.parts import Worker
from wire import keys

_SHARDS = range(keys.SHARDS)
_COLLECTORS_AT_ONCE = 64
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_PROGRESS_SECONDS = 1.0


class Inboxes:
    """All inboxes of a Redis of one's own."""

    def __init__(self, client: redis.Redis) -> None:
        """Use this client, which must be the administrator's."""
        self._redis = client

    def push(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Push (host id, entry) pairs as collectors do, each with its three questions in a packet of its own.

        The connections are many, with a collector's rights: Redis has all the work of a real push.
        """
        waiting = iter(entries)
        pool = self._collectors_pool()
        connections = [pool.get_connection() for _ in range(_COLLECTORS_AT_ONCE)]
        try:
            while batch := list(islice(waiting, len(connections))):
                # Packed before the first one is sent: Redis is measured under load, not waiting for this program.
                packets = [
                    b"".join(connection.pack_commands(_push(host_id, entry)))  # type: ignore[no-untyped-call]
                    for connection, (host_id, entry) in zip(connections, batch, strict=False)
                ]
                for connection, packet in zip(connections, packets, strict=False):
                    connection.send_packed_command([packet])  # type: ignore[no-untyped-call]
                for connection, _ in zip(connections, packets, strict=False):
                    for _ in range(4):
                        connection.read_response()
        finally:
            pool.disconnect()

    def hold_back(self) -> None:
        """Put what was pushed aside, where no worker looks."""
        self._rename({keys.inbox(shard): _aside(shard) for shard in _SHARDS})

    def release(self) -> None:
        """Put all that was held back where workers look, at one moment."""
        self._rename({_aside(shard): keys.inbox(shard) for shard in _SHARDS})

    def waiting(self) -> int:
        """Return how many entries wait in all inboxes."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard in _SHARDS:
            pipeline.llen(keys.inbox(shard))
        return sum(pipeline.execute())

    def _rename(self, names: dict[str, str]) -> None:
        # RENAME takes no longer for a long list, but fails for an empty one.
        pipeline = self._redis.pipeline(transaction=True)
        for old, new in names.items():
            if self._redis.exists(old):
                pipeline.rename(old, new)
        pipeline.execute()

    def let_collectors_in(self) -> tuple[str, str]:
        """Make a user with a collector's rights (``cli.redis_users``), but for all hosts; return name and password."""
        user, password = "bench", secrets.token_hex(16)
        rules = (
            "reset",
            "on",
            f">{password}",
            "-@all",
            "+ping",
            "(+rpush %W~fleetmedic:in:*)",
            "(+get %R~fleetmedic:ack:* %R~fleetmedic:config:* %R~fleetmedic:full:*)",
        )
        self._redis.execute_command("ACL", "SETUSER", user, *rules)  # type: ignore[no-untyped-call]
        return user, password

    def _collectors_pool(self) -> redis.ConnectionPool:
        user, password = self.let_collectors_in()
        administrator = self._redis.connection_pool.connection_kwargs
        return redis.ConnectionPool(**{**administrator, "username": user, "password": password})


def wait_until_drained(inboxes: Inboxes, worker: Worker, say: Callable[[str], None]) -> None:
    """Wait until all inboxes are empty. Raises CommandFailed when the worker ends, or drains nothing for a minute."""
    moved_at = told_at = time.monotonic()
    least = left = inboxes.waiting()
    while left:
        time.sleep(_LOOK_SECONDS)
        worker.check_running()
        left = inboxes.waiting()
        now = time.monotonic()
        if left < least:
            least, moved_at = left, now
        elif now - moved_at > _PATIENCE_SECONDS:
            raise worker.failed(f"nothing was drained for {_PATIENCE_SECONDS:g} s, {left:,} entries are left")
        if now - told_at > _PROGRESS_SECONDS:
            told_at = now
            say(f"draining: {left:,} entries left")


def _push(host_id: int, entry: bytes) -> tuple[tuple[str, str] | tuple[str, str, bytes], ...]:
    shard = keys.shard_of(host_id)
    return (
        ("RPUSH", keys.inbox(shard), entry),
        ("GET", keys.ack(host_id)),
        ("GET", keys.config(host_id)),
        ("GET", keys.full(shard)),
    )


def _aside(shard: int) -> str:
    return f"bench:held-back:{shard}"
