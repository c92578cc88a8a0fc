"""The periodic duties: hosts that fell silent, configs that Redis lost, data that is past its time."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

from sqlalchemy import Connection, Engine

from store import leases, positions, records, retention
from store.configs import desired_configs
from store.engine import reading, writing
from store.silence import QuietHost, quiet_hosts
from wire import keys
from wire.config import encode_config
from worker import silence
from worker.evaluation import HOST_DOWN
from worker.events import decode_tracks, encode_tracks
from worker.inbox import Inbox
from worker.listener import DUTIES

_CONFIGS_AT_ONCE = 1000


def sweep(engine: Engine, inbox: Inbox, now: float) -> int:
    """Open host_down for hosts that are silent for too long; return how many.

    Each shard is swept under the lock that its drains take, so that no snapshot is on its way into the store.
    """
    with writing(engine) as connection:
        since = leases.claim(connection, keys.TASK_SWEEP, now, DUTIES[keys.TASK_SWEEP])
    if since is None:
        return 0
    if not inbox.has_configs():
        publish_configs(engine, inbox, None)
    backlogged = {row.shard for row in inbox.look() if row.length}
    suspects: dict[int, list[int]] = defaultdict(list)
    with reading(engine) as connection:
        for host in quiet_hosts(connection, HOST_DOWN, now - silence.SHORTEST_SECONDS):
            if silence.down_since(host, since, now) is not None:
                suspects[keys.shard_of(host.host_id)].append(host.host_id)
    opened = 0
    for shard, host_ids in suspects.items():
        with writing(engine) as connection:
            opened += _sweep_shard(connection, shard, host_ids, shard in backlogged, since, now)
    return opened


def _sweep_shard(
    connection: Connection, shard: int, host_ids: Sequence[int], is_backlogged: bool, since: float, now: float
) -> int:
    held = positions.lock_shards(connection, [shard])
    if not held:
        # A drain is at it: the next sweep will see what it brought.
        return 0
    # What waits in the inbox was said, if not heard: until then nobody is silent.
    heard_until = held[0].caught_up_at if is_backlogged else now
    down: list[QuietHost] = [
        host
        for host in quiet_hosts(connection, HOST_DOWN, now - silence.SHORTEST_SECONDS, host_ids)
        if silence.down_since(host, since, heard_until) is not None
    ]
    records.insert_events(connection, [silence.event_row(host, now) for host in down])
    positions.set_tracks(
        connection,
        [(encode_tracks([*decode_tracks(host.tracks), silence.track(host, now)]), host.host_id) for host in down],
    )
    return len(down)


def retain(engine: Engine, raw_seconds: float, now: float) -> None:
    """Make the partitions ahead, and delete what is past its retention."""
    with writing(engine) as connection:
        if leases.claim(connection, keys.TASK_RETAIN, now, DUTIES[keys.TASK_RETAIN]) is None:
            return
    retention.make_partitions(engine, now)
    retention.drop_snapshots(engine, now - raw_seconds)
    with writing(engine) as connection:
        records.trim_dead_letters(connection)


def publish_configs(engine: Engine, inbox: Inbox, host_ids: Sequence[int] | None) -> None:
    """Publish the desired configs of these hosts, or with None of all."""
    with reading(engine) as connection:
        configs = desired_configs(connection, host_ids)
        while chunk := {host_id: encode_config(config) for host_id, config in islice(configs, _CONFIGS_AT_ONCE)}:
            inbox.publish_configs(chunk)
    if host_ids is None:
        inbox.note_configs()
