"""A drain: what waits in some shards' inboxes becomes snapshots, events and positions, in one transaction.

1. Take the shards; those that another drain holds are left to it.
2. Read the heads of their inboxes.
3. Read the positions of the hosts that sent them, and admit what is signed and next in line.
4. Make one matrix of it, correct the clocks, blank what is impossible.
5. Evaluate the rules, by the policies as they are now.
6. Write snapshots, positions, events, script jobs, details, gaps and dead letters; commit.
7. Only then trim the inboxes, acknowledge, and tell live pages.

Killed anywhere before the commit, nothing has happened; after it, the entries are there once more and are passed over.
"""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from store import positions as store_positions
from store import records, rollup_backlog, script_jobs
from store.configs import desired_configs
from store.engine import OUTAGES, reading, writing
from store.ledger import Ledger, ledgers
from store.positions import Moved
from store.snapshots import insert_snapshots
from wire.config import encode_config
from wire.entry import HIGHEST_NUMBER
from wire.metrics import INDEX
from wire.snapshot import Details, decode_details
from worker import conduct
from worker.admission import Admitted, Line, admit, open_all
from worker.bookkeeping import keep_books
from worker.evaluation import Evaluation, evaluate
from worker.event_rows import write_events
from worker.events import Track, decode_tracks, encode_tracks
from worker.growth import with_growth
from worker.inbox import Head, Inbox
from worker.matrix import Rows, rows_of
from worker.policies import limits_of
from worker.throttle import WATCHED_ENTRIES, Credit

log = logging.getLogger(__name__)

Clock = Callable[[], float]

_CPU = INDEX["cpu_percent"]
# Details are written for about this many hosts a drain, and for those whose event opened: at once in a small fleet,
# every so many snapshots in a large one.
_HOSTS_WITH_DETAILS = 128
_MAX_DETAILS_BYTES = 64 * 1024


@dataclass(frozen=True)
class Drained:
    """What one drain did."""

    entries: int = 0
    """Read, whatever became of them."""
    stored: int = 0
    refused: int = 0
    held: list[int] = field(default_factory=list)
    """The shards that it had."""
    script_jobs: list[int] = field(default_factory=list)
    """What it queued, to be rung for."""


def drain(
    engine: Engine,
    inbox: Inbox,
    shards: Sequence[int],
    limit: int,
    clock: Clock,
    remedy_of: Mapping[str, str],
    refusal: str | None = None,
) -> Drained:
    """Drain up to ``limit`` entries of the shards; with a ``refusal`` they become dead letters for that reason.

    An event whose type ``remedy_of`` names a remedy for gets a script job. Raises redis.RedisError and
    sqlalchemy.exc.DBAPIError; nothing has happened then, or all of it.
    """
    with writing(engine) as connection:
        held = store_positions.lock_shards(connection, shards)
        heads = inbox.heads([shard.id for shard in held], limit)
        now = clock()
        entries = sum(len(head.entries) for head in heads.values())
        if not entries:
            # Nothing to do is nothing to write.
            return Drained(held=[shard.id for shard in held])
        admitted = _admitted(connection, heads, refusal, now)
        rows = rows_of(admitted, {shard.id: shard.caught_up_at for shard in held}, now)
        written = _write(connection, admitted, rows, remedy_of, now)
        store_positions.count_drain(
            connection,
            [shard._replace(caught_up_at=now) if heads[shard.id].emptied else shard for shard in held],
        )
    inbox.note_floods(_flooded(admitted, heads))
    inbox.trim(heads)
    # Those whose entries were all passed over too: the collector may not know yet what is committed.
    inbox.acknowledge(
        {host: (line.incarnation, line.sequence) for host, line in admitted.lines.items()},
        {"snapshots": [line.position.host_id for line in rows.hosts], "events": written.hosts_with_events},
    )
    _publish_to_cloned(engine, inbox, admitted)
    return Drained(entries, len(rows.order), admitted.refused, [shard.id for shard in held], written.script_jobs)


def drain_around_poison(
    engine: Engine, inbox: Inbox, shard: int, limit: int, clock: Clock, remedy_of: Mapping[str, str]
) -> Drained:
    """Drain a shard that holds an entry no drain survives: halve until it is alone, then refuse it.

    One call brings the shard forward, by the entries before it or by itself. Raises what ``drain`` does for outages.
    """
    try:
        return drain(engine, inbox, [shard], limit, clock, remedy_of)
    except (*OUTAGES, redis.RedisError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever an entry provokes must not stop those behind it
        if limit > 1:
            return drain_around_poison(engine, inbox, shard, limit // 2, clock, remedy_of)
        return drain(engine, inbox, [shard], 1, clock, remedy_of, f"not taken in: {type(error).__name__}")


def _admitted(connection: Connection, heads: Mapping[int, Head], refusal: str | None, now: float) -> Admitted:
    admitted = Admitted()
    opened = open_all({shard: head.entries for shard, head in heads.items()}, admitted)
    entries = Counter([item.entry.host for item in opened])
    known = store_positions.positions(connection, sorted(entries))
    busy = [host for host, count in entries.items() if count >= WATCHED_ENTRIES and host in known]
    spent = ledgers(connection, busy)
    watched = {host: Credit(now, spent.get(host, Ledger()).spent_until, known[host].taken_at or 0.0) for host in busy}
    admit(opened, known, admitted, refusal, watched)
    return admitted


def _flooded(admitted: Admitted, heads: Mapping[int, Head]) -> list[int]:
    """Return the shards of whose entries most were passed over since their hosts push too much."""
    throttled: dict[int, int] = defaultdict(int)
    for line in admitted.lines.values():
        if line.addition is not None:
            throttled[line.shard] += line.addition.throttled
    return [shard for shard, count in throttled.items() if 2 * count > len(heads[shard].entries)]


@dataclass(frozen=True)
class _Written:
    """What is to be told after the commit."""

    hosts_with_events: set[int]
    """Whose events opened, changed or resolved."""
    script_jobs: list[int]


def _write(
    connection: Connection, admitted: Admitted, rows: Rows, remedy_of: Mapping[str, str], now: float
) -> _Written:
    host_ids = [line.position.host_id for line in rows.hosts]
    tracks = {place: _tracks(line) for place, line in enumerate(rows.hosts) if line.position.tracks is not None}

    def details_of(row: int) -> Details:
        return decode_details(admitted.snapshots[rows.order[row]].details)

    evaluation = evaluate(rows.batch, tracks, details_of, limits_of(connection, host_ids))
    for row, reason in evaluation.unreadable.items():
        entry = admitted.entries[rows.order[row]]
        line = rows.hosts[int(rows.batch.host[row])]
        line.noted.unevaluated += 1
        admitted.refuse(line.shard, entry.body, reason, entry)
    insert_snapshots(connection, rows.stored)
    rollup_backlog.append(connection, rows.stored)
    store_positions.move(connection, _moved(admitted, rows, now))
    new_tracks = {host_ids[place]: tracks for place, tracks in evaluation.tracks.items()}
    changes = [(host_ids[change.host], change) for change in evaluation.changes]
    for host, line in admitted.lines.items():
        seen = _conduct(line)
        if seen or line.position.tracks is not None:
            known = new_tracks.get(host)
            judged = conduct.judge(_tracks(line) if known is None else known, seen, now)
            if judged.changes:
                new_tracks[host] = judged.tracks
                changes += [(host, change) for change in judged.changes]
    write_events(connection, with_growth(connection, changes))
    store_positions.set_tracks(connection, [(encode_tracks(tracks), host) for host, tracks in new_tracks.items()])
    records.write_details(connection, _details(admitted, rows, evaluation))
    in_trouble = {host for host, change in changes if (change.is_new or change.reopens) and change.type in remedy_of}
    jobs = script_jobs.request_for_open_events(connection, in_trouble, remedy_of, now) if in_trouble else []
    keep_books(connection, admitted, rows, now)
    records.write_dead_letters(connection, admitted.dead_letters, now)
    records.require_incarnation(
        connection,
        {host: min(line.incarnation + 1, HIGHEST_NUMBER) for host, line in admitted.lines.items() if line.cloned},
    )
    return _Written({host for host, _ in changes}, jobs)


def _conduct(line: Line) -> dict[conduct.Conduct, dict[str, Any]]:
    """Return what is to be said of how the host behaved, each with its evidence."""
    seen: dict[conduct.Conduct, dict[str, Any]] = {}
    if line.cloned:
        seen[conduct.CLONED] = {}
    if line.addition is not None and line.addition.throttled:
        seen[conduct.FLOODING] = {"throttled_entries": line.addition.throttled}
    return seen


def _tracks(line: Line) -> list[Track]:
    try:
        return decode_tracks(line.position.tracks)
    except ValueError:
        # Its events stay open until they are seen anew; that costs less than a host that stands still.
        log.exception("host %d starts with no pending and open events", line.position.host_id)
        return []


def _moved(admitted: Admitted, rows: Rows, now: float) -> Moved:
    only_moved = [line for line in admitted.lines.values() if not line.rows and line.moved]
    lines = rows.hosts + only_moved
    lasts = rows.lasts
    firsts = np.concatenate(([0], lasts[:-1] + 1)) if rows.hosts else lasts
    impossible = np.add.reduceat(rows.impossible, firsts) if rows.hosts else lasts
    stored = rows.stored

    def of_last(column: NDArray[Any]) -> NDArray[np.float64]:
        return np.concatenate((column[lasts].astype(np.float64), np.full(len(only_moved), math.nan)))

    return Moved(
        incarnation=np.array([line.incarnation for line in lines], np.int64),
        sequence=np.array([line.sequence for line in lines], np.int64),
        body_crc=np.array([line.body_crc for line in lines], np.int64),
        received_at=np.repeat((now, math.nan), (len(rows.hosts), len(only_moved))),
        taken_at=of_last(stored.taken_at),
        interval_seconds=of_last(stored.interval_seconds),
        cpu_percent=of_last(stored.core[:, _CPU]),
        impossible_values=np.concatenate((impossible, np.zeros(len(only_moved), np.int64))),
        host_id=np.array([line.position.host_id for line in lines], np.int64),
    )


def _details(admitted: Admitted, rows: Rows, evaluation: Evaluation) -> list[tuple[int, float, bytes]]:
    # By rows: what waited for long is many snapshots of each host.
    stride = max(1, -(-len(rows.order) // _HOSTS_WITH_DETAILS))
    host_id, lasts = rows.stored.host_id, rows.lasts
    # The next of the host's numbers, since a drain may hold several of its snapshots.
    turns = (rows.stored.sequence[lasts] + host_id[lasts]) % stride < np.diff(lasts, prepend=-1)
    troubled = rows.batch.host[list(evaluation.opened_rows)]
    written = []
    for last in lasts[np.union1d(np.flatnonzero(turns), troubled)].tolist():
        details = bytes(admitted.snapshots[rows.order[last]].details)
        if len(details) <= _MAX_DETAILS_BYTES:
            written.append((int(host_id[last]), float(rows.stored.taken_at[last]), details))
    return written


def _publish_to_cloned(engine: Engine, inbox: Inbox, admitted: Admitted) -> None:
    cloned = [host for host, line in admitted.lines.items() if line.cloned]
    if cloned:
        with reading(engine) as connection:
            configs = dict(desired_configs(connection, cloned))
        inbox.publish_configs({host: encode_config(config) for host, config in configs.items()})
