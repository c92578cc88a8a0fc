"""The periodic duties: hosts that fell silent, configs that Redis lost, data that is past its time."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import Connection, Engine

from store import leases, own_remedies, positions, records, retention, script_jobs
from store.configs import desired_configs
from store.engine import reading, writing
from store.settings import Retention
from store.silence import QuietHost, quiet_hosts, unheard_hosts
from wire import keys
from wire.config import encode_config
from worker import silence
from worker.detection.limits import Limit
from worker.evaluation import HOST_DOWN, EventChange
from worker.event_rows import write_events
from worker.events import decode_tracks, encode_tracks
from worker.inbox import Inbox
from worker.listener import DUTIES
from worker.policies import limits_of, strictest_silence
from worker.script_jobs import OVERDUE_SECONDS

_CONFIGS_AT_ONCE = 1000
_MOST_OVERDUE = 1000
# What no worker found again for so long lies on a machine that is gone, or that has no worker any more.
_OWN_REMEDIES_KEPT_SECONDS = 600.0


@dataclass(frozen=True)
class Swept:
    """What a sweep found."""

    down: list[int] = field(default_factory=list)
    """The hosts whose host_down opened."""
    script_jobs: list[int] = field(default_factory=list)
    """Those that wait although a worker was told of them: to be rung for again."""


def sweep(engine: Engine, inbox: Inbox, now: float) -> Swept:
    """Open host_down for hosts that are silent for too long, and look for script jobs that were left.

    Each shard is swept under the lock that its drains take, so that no snapshot is on its way into the store.
    """
    with writing(engine) as connection:
        since = leases.claim(connection, keys.TASK_SWEEP, now, DUTIES[keys.TASK_SWEEP])
    if since is None:
        return Swept()
    if not inbox.has_configs():
        publish_configs(engine, inbox, None)
    backlogged = {row.shard for row in inbox.look() if row.length}
    down: list[int] = []
    for shard, host_ids in _suspects(engine, backlogged, since, now).items():
        with writing(engine) as connection:
            down += _sweep_shard(connection, shard, host_ids, shard in backlogged, since, now)
    inbox.announce({"events": down})
    with writing(engine) as connection:
        overdue = script_jobs.take_overdue(connection, now - OVERDUE_SECONDS, _MOST_OVERDUE, now)
    return Swept(down, overdue)


def _suspects(engine: Engine, backlogged: Collection[int], since: float, now: float) -> dict[int, list[int]]:
    """Return the hosts that seem to be down, by shard, as far as can be told without its lock."""
    suspects: dict[int, list[int]] = defaultdict(list)
    with reading(engine) as connection:
        strictest = strictest_silence(connection)
        earliest = since + strictest.opens_after_seconds
        if earliest < now:
            unheard = unheard_hosts(connection, strictest.value, strictest.opens_after_seconds, since, now)
            caught_up = positions.caught_up_at(connection, backlogged)
            # After an outage these are all hosts: to look at each of them would slow down what they wait for.
            behind = {shard for shard, at in caught_up.items() if earliest >= at}
            watched = [host_id for host_id in unheard if keys.shard_of(host_id) not in behind] if behind else unheard
            for host, _ in _down(connection, watched, since, now):
                suspects[keys.shard_of(host.host_id)].append(host.host_id)
    return suspects


def _sweep_shard(
    connection: Connection, shard: int, host_ids: Sequence[int], is_backlogged: bool, since: float, now: float
) -> list[int]:
    held = positions.lock_shards(connection, [shard])
    if not held:
        # A drain is at it: the next sweep will see what it brought.
        return []
    # What waits in the inbox was said, if not heard: until then nobody is silent.
    heard_until = held[0].caught_up_at if is_backlogged else now
    tracks: list[tuple[bytes | None, int]] = []
    changes: list[tuple[int, EventChange]] = []
    for host, limit in _down(connection, host_ids, since, heard_until):
        mine = decode_tracks(host.tracks)
        known = silence.known(mine)
        # Open there and not in the table: somebody resolved it, and the host is still as silent.
        if not (known and known.state == "open"):
            track, change = silence.down(host, limit, mine, now)
            tracks.append((encode_tracks([*(one for one in mine if one is not known), track]), host.host_id))
            changes.append((host.host_id, change))
    write_events(connection, changes)
    positions.set_tracks(connection, tracks)
    return [host_id for host_id, _ in changes]


def _down(
    connection: Connection, host_ids: Sequence[int], since: float, heard_until: float
) -> list[tuple[QuietHost, Limit]]:
    """Return those of these hosts that are silent for longer than they may be, each with its limit."""
    limits = limits_of(connection, host_ids)
    place_of = {host_id: place for place, host_id in enumerate(host_ids)}
    governed = [
        (host, limits.of_host(place_of[host.host_id]).of(HOST_DOWN))
        for host in quiet_hosts(connection, HOST_DOWN, host_ids)
    ]
    return [one for one in governed if silence.down_since(*one, since, heard_until) is not None]


def retain(engine: Engine, keep: Retention, now: float) -> None:
    """Make the partitions ahead, and delete what is past its retention."""
    with writing(engine) as connection:
        if leases.claim(connection, keys.TASK_RETAIN, now, DUTIES[keys.TASK_RETAIN]) is None:
            return
    retention.make_partitions(engine, now)
    retention.drop_past(engine, keep, now)
    with writing(engine) as connection:
        records.trim_dead_letters(connection)
        records.trim_gaps(connection)
        own_remedies.forget_unseen(connection, now - _OWN_REMEDIES_KEPT_SECONDS)


def publish_configs(engine: Engine, inbox: Inbox, host_ids: Sequence[int] | None) -> None:
    """Publish the desired configs of these hosts, or with None of all."""
    with reading(engine) as connection:
        configs = desired_configs(connection, host_ids)
        while chunk := {host_id: encode_config(config) for host_id, config in islice(configs, _CONFIGS_AT_ONCE)}:
            inbox.publish_configs(chunk)
    if host_ids is None:
        inbox.note_configs()
