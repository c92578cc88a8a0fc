"""The Celery tasks: each a thin wrapper around one piece of work."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis
from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from store.engine import OUTAGES
from store.settings import ServerSettings
from wire import keys
from wire.text import visible
from worker import duties
from worker.inbox import Inbox
from worker.ingest import drain, drain_around_poison

log = logging.getLogger(__name__)

# A drain that failed is rung for again after this long; until then the bells carry a token that no listener keeps up.
_RETRY_SECONDS = 2
_PUT_OFF = "put off"
# A doorbell does not keep a child from its other tasks for longer than this many batches.
_MOST_BATCHES = 20


@dataclass(frozen=True)
class Station:
    """What the tasks of one process work with."""

    settings: ServerSettings
    engine: Engine
    inbox: Inbox
    clock: Callable[[], float]


@contextmanager
def _outages_named(work: str) -> Iterator[None]:
    """Log in one line that the database or Redis was away; the next ring tries again."""
    try:
        yield
    except (*OUTAGES, redis.RedisError) as error:
        log.warning("%s put off: %s", work, _first_line(error))


def _first_line(error: Exception) -> str:
    return visible(str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0])


def add_tasks(app: Celery, station: Station) -> None:
    """Register the tasks with the app."""

    @app.task(name=keys.TASK_DRAIN)  # type: ignore[untyped-decorator]
    def drain_shards(shards: list[int], token: str) -> None:
        """Drain the shards until less than half a batch is left, then let their bells be rung again."""
        try:
            for _ in range(_MOST_BATCHES):
                done = drain(station.engine, station.inbox, shards, station.settings.batch_entries, station.clock)
                if done.refused:
                    log.warning("%d entries refused: see the table dead_letters", done.refused)
                if 2 * done.entries < station.settings.batch_entries:
                    break
            station.inbox.silence(shards, token)
        except (*OUTAGES, redis.RedisError) as error:
            log.warning("drain put off, nothing is lost: %s", _first_line(error))
            _retry_soon(shards, token)
        except Exception:
            log.exception("drain of the shards %s failed: looking for the entry that does it", shards)
            _retry_soon(shards, token)
            for shard in shards:
                drain_around_poison(station.engine, station.inbox, shard, station.settings.batch_entries, station.clock)

    def _retry_soon(shards: list[int], token: str) -> None:
        try:
            station.inbox.silence(shards, token)
            station.inbox.ring(shards, _PUT_OFF, _RETRY_SECONDS)
        except redis.RedisError:
            # The bells end by themselves.
            return

    @app.task(name=keys.TASK_SWEEP)  # type: ignore[untyped-decorator]
    def sweep() -> None:
        """Open host_down for silent hosts; publish the configs anew where Redis lost them."""
        with _outages_named("sweep"):
            duties.sweep(station.engine, station.inbox, station.clock())

    @app.task(name=keys.TASK_RETAIN)  # type: ignore[untyped-decorator]
    def retain() -> None:
        """Make partitions ahead; delete what is past its retention."""
        with _outages_named("retention"):
            duties.retain(station.engine, station.settings.retention_raw_seconds, station.clock())

    @app.task(name=keys.TASK_PUBLISH_CONFIGS)  # type: ignore[untyped-decorator]
    def publish_configs(host_ids: list[int] | None) -> None:
        """Publish the desired configs of these hosts, or with None of all."""
        with _outages_named("publishing configs"):
            duties.publish_configs(station.engine, station.inbox, host_ids)
