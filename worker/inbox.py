"""The inboxes in Redis, as a worker sees them: look, read, trim, acknowledge, ring."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import redis

from store.scripts import DONE, State
from wire import keys

# Longer than anybody waits for a script.
_DONE_SECONDS = 60
# A message to live pages names no more than this: above it they ask for what they show.
_MOST_NAMED = 256
# A shard whose inbox a host floods is known as such for this long.
_FLOODED_SECONDS = 5
# Collectors wait this long after a shard was last seen over its cap.
_FULL_SECONDS = 5


Changes = Mapping[str, Collection[int]]
"""What was committed: ids of hosts under ``snapshots`` and ``events``, states of scripts by id under ``scripts``."""


class Head(NamedTuple):
    """The first entries of a shard's inbox."""

    entries: list[bytes]
    emptied: bool
    """Whether these were all."""
    trimmed: bytes
    """What the shard's counter of trims said when they were read."""


class Waiting(NamedTuple):
    """A shard with entries, or with a drain under way. ``bell`` is that drain's token, None for none."""

    shard: int
    length: int
    bell: bytes | None


# Lengths and bells of all shards in one command: a pipeline of 128 would cost a worker at rest ten times as much.
_LOOK = """
local found = {}
for shard = 0, tonumber(ARGV[1]) - 1 do
    local length = redis.call('LLEN', 'fleetmedic:in:' .. shard)
    local bell = redis.call('GET', 'fleetmedic:bell:' .. shard)
    if length > 0 or bell then
        found[#found + 1] = {shard, length, bell}
    end
end
return found
"""

# Only what was read goes, and only while nobody else trimmed, nor Redis lost and refilled the list.
_TRIM = """
if redis.call('GET', KEYS[2]) == ARGV[1] then
    redis.call('LTRIM', KEYS[1], ARGV[2], -1)
    redis.call('INCR', KEYS[2])
end
"""

_SILENCE = """
for _, key in ipairs(KEYS) do
    if redis.call('GET', key) == ARGV[1] then
        redis.call('DEL', key)
    end
end
"""


class Inbox:
    """All inboxes of one Redis. Every call may raise redis.RedisError."""

    def __init__(self, client: "redis.Redis") -> None:
        """Use this client, which must give bytes."""
        self._redis = client
        self._look = client.register_script(_LOOK)
        self._trim = client.register_script(_TRIM)
        self._silence = client.register_script(_SILENCE)

    def look(self) -> list[Waiting]:
        """Return the shards that have entries or a bell."""
        return [Waiting(*row) for row in self._look(args=[keys.SHARDS])]

    def heads(self, shards: Sequence[int], limit: int) -> dict[int, Head]:
        """Read the first entries of these shards, ``limit`` in all, shared out as the shards need them."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard in shards:
            pipeline.llen(keys.inbox(shard))
        lengths = dict(zip(shards, pipeline.execute(), strict=True))
        shares = share_out(lengths, limit)
        pipeline = self._redis.pipeline(transaction=True)
        for shard, share in shares.items():
            # A counter that starts anywhere: after a flush it is never by chance the one that was read before.
            pipeline.set(keys.trimmed(shard), secrets.randbits(40), nx=True)
            pipeline.get(keys.trimmed(shard))
            pipeline.lrange(keys.inbox(shard), 0, share - 1)
        answers = pipeline.execute()
        heads = {shard: Head([], True, b"") for shard, length in lengths.items() if not length}
        for place, (shard, share) in enumerate(shares.items()):
            entries = answers[3 * place + 2]
            heads[shard] = Head(entries, len(entries) < share or share == lengths[shard], answers[3 * place + 1])
        return heads

    def trim(self, heads: Mapping[int, Head]) -> None:
        """Remove what was read, from each inbox that is still as it was."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard, head in heads.items():
            if head.entries:
                self._trim(
                    keys=[keys.inbox(shard), keys.trimmed(shard)],
                    args=[head.trimmed, len(head.entries)],
                    client=pipeline,
                )
        pipeline.execute()

    def acknowledge(self, committed: Mapping[int, tuple[int, int]], changes: Changes | None = None) -> None:
        """Publish (incarnation, sequence) of what is committed, by host id, and tell live pages of it."""
        pipeline = self._redis.pipeline(transaction=False)
        if committed:
            pipeline.mset({keys.ack(host): keys.format_ack(*position) for host, position in committed.items()})
        if changes and any(changes.values()):
            pipeline.publish(keys.CHANGES, encode_changes(changes))
        pipeline.execute()

    def announce(self, changes: Changes) -> None:
        """Tell live pages what was committed."""
        if any(changes.values()):
            self._redis.publish(keys.CHANGES, encode_changes(changes))

    def hand_over(self, became: Mapping[int, State]) -> None:
        """Tell live pages what became of script jobs, and who waits for one that it is done."""
        if not became:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for script, state in became.items():
            if state in DONE:
                pipeline.rpush(keys.script_done(script), 1)
                pipeline.expire(keys.script_done(script), _DONE_SECONDS)
        pipeline.publish(keys.CHANGES, encode_changes({"scripts": became}))
        pipeline.execute()

    def hand_over_preview(self, token: str, preview: bytes) -> None:
        """Tell who waits under this token."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.rpush(keys.preview_done(token), preview)
        pipeline.expire(keys.preview_done(token), _DONE_SECONDS)
        pipeline.execute()

    def ring(self, shards: Iterable[int], token: str, seconds: int) -> list[int]:
        """Mark the shards as being drained by ``token``; return those that nobody else had marked."""
        wanted = list(shards)
        pipeline = self._redis.pipeline(transaction=False)
        for shard in wanted:
            pipeline.set(keys.bell(shard), token, nx=True, ex=seconds)
        return [shard for shard, rung in zip(wanted, pipeline.execute(), strict=True) if rung]

    def keep_ringing(self, shards: Iterable[int], seconds: int) -> None:
        """Let the bells of these shards last longer."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard in shards:
            pipeline.expire(keys.bell(shard), seconds)
        pipeline.execute()

    def silence(self, shards: Sequence[int], token: str) -> None:
        """Take away the bells that carry this token."""
        self._silence(keys=[keys.bell(shard) for shard in shards], args=[token])

    def note_floods(self, shards: Sequence[int]) -> None:
        """Note that most of what these inboxes hold is of hosts that push too much, and passed over."""
        if shards:
            pipeline = self._redis.pipeline(transaction=False)
            for shard in shards:
                pipeline.set(keys.flooded(shard), 1, ex=_FLOODED_SECONDS)
            pipeline.execute()

    def ask_to_wait(self, shards: Sequence[int]) -> None:
        """Tell the collectors of these shards to keep their snapshots for a while.

        Not where a host floods: it would not heed, and the others would starve.
        """
        if shards:
            flooded = self._redis.mget([keys.flooded(shard) for shard in shards])
            pipeline = self._redis.pipeline(transaction=False)
            for shard, flood in zip(shards, flooded, strict=True):
                if flood is None:
                    pipeline.set(keys.full(shard), 1, ex=_FULL_SECONDS)
            pipeline.execute()

    def is_due(self, duty: str, period_seconds: float) -> bool:
        """Say, to one caller a period, that a periodic duty is to be run."""
        return bool(self._redis.set(keys.duty(duty), 1, nx=True, px=int(1000 * period_seconds)))

    def messages(self, queue: str) -> int:
        """Return how many Celery messages wait in a queue."""
        return int(self._redis.llen(queue))

    def publish_configs(self, configs: Mapping[int, bytes]) -> None:
        """Publish desired configs, encoded, by host id."""
        if configs:
            self._redis.mset({keys.config(host): config for host, config in configs.items()})

    def has_configs(self) -> bool:
        """Say whether this Redis still has all configs: it may have been flushed or replaced."""
        return bool(self._redis.exists(keys.CONFIGS_PUBLISHED))

    def note_configs(self) -> None:
        """Note that all configs are published."""
        self._redis.set(keys.CONFIGS_PUBLISHED, 1)


def encode_changes(changes: Changes) -> bytes:
    """Return the message of ``wire.keys.CHANGES``."""
    return msgspec.json.encode({kind: _named(ids) for kind, ids in changes.items() if ids})


def _named(ids: Collection[int]) -> Collection[int] | None:
    if len(ids) > _MOST_NAMED:
        return None
    return ids if isinstance(ids, Mapping) else sorted(ids)


def share_out(lengths: Mapping[int, int], limit: int) -> dict[int, int]:
    """Return how many entries of each shard to read, ``limit`` in all, shortest inboxes first.

    So a host that floods its shard takes nothing from the others.
    """
    shares = {}
    left = limit
    waiting = sorted((length, shard) for shard, length in lengths.items() if length)
    for place, (length, shard) in enumerate(waiting):
        share = min(length, max(left // (len(waiting) - place), 1))
        shares[shard] = share
        left -= share
    return shares
