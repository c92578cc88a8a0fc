"""Names that the stations agree on: Redis keys, shards, Celery queues and tasks."""

import hashlib
import hmac
import zlib

SHARDS = 64
"""The unit of order and of parallelism. Another number needs new ids: docs/decisions/0012-number-of-shards.md."""

QUEUE_INGEST = "ingest"
QUEUE_SCRIPTS = "scripts"
TASK_DRAIN = "fleetmedic.drain"
TASK_SWEEP = "fleetmedic.sweep"
TASK_RETAIN = "fleetmedic.retain"
TASK_ROLL_UP = "fleetmedic.roll_up"
TASK_FORECAST = "fleetmedic.forecast"
TASK_TRIAGE = "fleetmedic.triage"
TASK_EXPLAIN = "fleetmedic.explain"
TASK_DEVIATE = "fleetmedic.deviate"
TASK_PUBLISH_CONFIGS = "fleetmedic.publish_configs"
TASK_RENDER = "fleetmedic.render"
TASK_PREVIEW = "fleetmedic.preview"

CONFIGS_PUBLISHED = "fleetmedic:configs-published"
"""Present while the configs of all hosts are in Redis: a flush takes it away with them."""

CHANGES = "fleetmedic:changes"
"""The channel that tells live pages what was committed: JSON, one of ``snapshots``, ``events`` (a list of host ids, or
null for too many to name) and ``scripts`` (the states that scripts came to, by id, or null) by name. A message that is
lost costs a page nothing but the time until it asks by itself.
"""


def shard_of(host_id: int) -> int:
    """Return the shard of a host: CRC-32 of its decimal id, modulo the number of shards."""
    return zlib.crc32(b"%d" % host_id) % SHARDS


def inbox(shard: int) -> str:
    """Name the list that the hosts of a shard push to."""
    return f"fleetmedic:in:{shard}"


def full(shard: int) -> str:
    """Name the flag that is set while a shard's inbox is over its cap: collectors then keep their snapshots."""
    return f"fleetmedic:full:{shard}"


def flooded(shard: int) -> str:
    """Name the mark that most of a shard's inbox is of hosts that push too much: it is not ``full`` then."""
    return f"fleetmedic:flooded:{shard}"


def ack(host_id: int) -> str:
    """Name a host's acknowledgement: ``incarnation:sequence`` of what is committed."""
    return f"fleetmedic:ack:{host_id}"


def config(host_id: int) -> str:
    """Name a host's desired config (see ``wire.config``)."""
    return f"fleetmedic:config:{host_id}"


def bell(shard: int) -> str:
    """Name the mark that a drain of a shard is already on its way."""
    return f"fleetmedic:bell:{shard}"


def trimmed(shard: int) -> str:
    """Name the counter that changes with every trim of a shard's inbox."""
    return f"fleetmedic:trimmed:{shard}"


def script_done(script_id: int) -> str:
    """Name the list that is pushed to when a job is done; all who asked for it wait there, and leave what they find."""
    return f"fleetmedic:script:{script_id}"


def preview_done(token: str) -> str:
    """Name the list that a worker pushes a preview to (``wire.preview``); who asked for it waits there."""
    return f"fleetmedic:preview:{token}"


def duty(name: str) -> str:
    """Name the mark that a periodic duty was rung in its present period."""
    return f"fleetmedic:duty:{name}"


def format_ack(incarnation: int, sequence: int) -> bytes:
    """Return the value of an acknowledgement key."""
    return b"%d:%d" % (incarnation, sequence)


def parse_ack(value: bytes) -> tuple[int, int]:
    """Read an acknowledgement as (incarnation, sequence). Raises ValueError."""
    incarnation, _, sequence = value.partition(b":")
    return int(incarnation), int(sequence)


def redis_user(host_id: int) -> str:
    """Name the Redis ACL user of a host."""
    return f"host-{host_id}"


def redis_password(key: bytes) -> str:
    """Derive the host's Redis password from its key, so that ACL users can be made anew from the database.

    HMAC keeps the two apart: who reads the password in Redis learns nothing of the signing key.
    """
    return hmac.digest(key, b"redis password", hashlib.sha256).hex()
