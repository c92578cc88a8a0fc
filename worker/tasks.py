"""The Celery tasks: each a thin wrapper around one piece of work."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import redis
from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from store.engine import OUTAGES, reading
from store.policies import Governing
from store.settings import ServerSettings
from wire import keys
from wire.preview import encode_preview
from wire.text import visible
from worker import deviation, duties, forecast, rollups, script_jobs
from worker import triage as triage_duty
from worker.explanations import explain_new
from worker.inbox import Inbox
from worker.ingest import drain, drain_around_poison
from worker.preview import preview
from worker.remedies.shelf import Shelf

log = logging.getLogger(__name__)

# A drain that failed is rung for again after this long; until then the bells carry a token that no listener keeps up.
_RETRY_SECONDS = 2
_PUT_OFF = "put off"
# A doorbell does not keep a child from its other tasks, and from other shards, for longer than this many batches.
_MOST_BATCHES = 5


@dataclass(frozen=True)
class Station:
    """What the tasks of one process work with."""

    settings: ServerSettings
    engine: Engine
    inbox: Inbox
    templates: script_jobs.Templates
    """The remedies that come with the product."""
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
    shelf = Shelf(station.engine, station.templates)
    batch_entries = station.settings.batch_entries

    @app.task(name=keys.TASK_DRAIN)  # type: ignore[untyped-decorator]
    def drain_shards(shards: list[int], token: str) -> None:
        """Drain the shards until less than half a batch is left, then let their bells be rung again."""
        try:
            remedy_of = script_jobs.remedy_of(shelf.recent(station.clock()))
            for _ in range(_MOST_BATCHES):
                done = drain(station.engine, station.inbox, shards, batch_entries, station.clock, remedy_of)
                if done.refused:
                    log.warning("%d entries refused: see the table dead_letters", done.refused)
                _ring_for(done.script_jobs)
                if 2 * done.entries < batch_entries:
                    break
            station.inbox.silence(shards, token)
        except (*OUTAGES, redis.RedisError) as error:
            log.warning("drain put off, nothing is lost: %s", _first_line(error))
            _retry_soon(shards, token)
        except Exception:
            log.exception("drain of the shards %s failed: looking for the entry that does it", shards)
            _retry_soon(shards, token)
            remedy_of = script_jobs.remedy_of(shelf.recent(station.clock()))
            for shard in shards:
                drain_around_poison(station.engine, station.inbox, shard, batch_entries, station.clock, remedy_of)

    def _retry_soon(shards: list[int], token: str) -> None:
        try:
            station.inbox.silence(shards, token)
            station.inbox.ring(shards, _PUT_OFF, _RETRY_SECONDS)
        except redis.RedisError:
            # The bells end by themselves.
            return

    def _ring_for(jobs: list[int]) -> None:
        for place in range(0, len(jobs), script_jobs.MOST_AT_ONCE):
            some = jobs[place : place + script_jobs.MOST_AT_ONCE]
            try:
                app.send_task(keys.TASK_RENDER, args=[some], queue=keys.QUEUE_SCRIPTS, ignore_result=True, retry=False)
            except OperationalError:
                # The sweep will.
                return

    @app.task(  # type: ignore[untyped-decorator]
        name=keys.TASK_RENDER,
        soft_time_limit=station.settings.script_seconds,
        # What the first limit does not end, because it is in no Python code, ends with its process.
        time_limit=2 * station.settings.script_seconds,
    )
    def render(script_ids: list[int]) -> None:
        """Render script jobs; tell live pages how far they are, and who waits for them."""
        with _outages_named("scripts"):
            became = script_jobs.render_jobs(
                station.engine, shelf.templates(), script_ids, station.clock(), _tell_begun, script_jobs.MOST_AT_ONCE
            )
            station.inbox.hand_over(became)

    def _tell_begun(script_ids: Sequence[int]) -> None:
        # Nobody needs to know it: without Redis the script is made all the same.
        with suppress(redis.RedisError):
            station.inbox.hand_over(dict.fromkeys(script_ids, "running"))

    @app.task(name=keys.TASK_PREVIEW)  # type: ignore[untyped-decorator]
    def preview_policy(token: str, proposed: dict[str, Any], seconds: float) -> None:
        """Replay the last ``seconds`` under a policy that is not saved, for the API that waits under this token."""
        with _outages_named("a preview"):
            with reading(station.engine) as connection:
                asked = msgspec.convert(proposed, Governing)
                done = preview(connection, asked, seconds, station.settings.retention, station.clock())
            station.inbox.hand_over_preview(token, encode_preview(done))

    @app.task(name=keys.TASK_SWEEP)  # type: ignore[untyped-decorator]
    def sweep() -> None:
        """Open host_down for silent hosts; ring for what Redis lost: the configs, script jobs; keep the catalogue."""
        with _outages_named("sweep"):
            script_jobs.publish_catalogue(station.engine, station.templates, station.clock())
            _ring_for(duties.sweep(station.engine, station.inbox, station.clock()).script_jobs)

    @app.task(name=keys.TASK_TRIAGE)  # type: ignore[untyped-decorator]
    def triage() -> None:
        """Put new events into incidents; mute and unmute events."""
        with _outages_named("triage"):
            triage_duty.triage(station.engine, station.inbox, station.clock)

    @app.task(name=keys.TASK_EXPLAIN)  # type: ignore[untyped-decorator]
    def explain() -> None:
        """Explain events that are not explained yet."""
        with _outages_named("explanations"):
            station.inbox.announce({"events": explain_new(station.engine)})

    @app.task(name=keys.TASK_RETAIN)  # type: ignore[untyped-decorator]
    def retain() -> None:
        """Make partitions ahead; delete what is past its retention."""
        with _outages_named("retention"):
            duties.retain(station.engine, station.settings.retention, station.clock())

    @app.task(name=keys.TASK_ROLL_UP)  # type: ignore[untyped-decorator]
    def roll_up() -> None:
        """Add what is over to the history at 5 minutes and at 1 hour."""
        with _outages_named("roll-up"):
            rollups.roll_up(station.engine, station.settings.retention, station.clock)

    @app.task(name=keys.TASK_FORECAST)  # type: ignore[untyped-decorator]
    def forecast_disks() -> None:
        """Add to the history of filesystems; open and resolve disk_forecast."""
        with _outages_named("forecast"):
            remedy_of = script_jobs.remedy_of(shelf.recent(station.clock()))
            done = forecast.forecast(station.engine, remedy_of, station.clock)
            _ring_for(done.script_jobs)
            if done.hosts_with_events:
                station.inbox.announce({"events": done.hosts_with_events})

    @app.task(name=keys.TASK_DEVIATE)  # type: ignore[untyped-decorator]
    def look_for_deviations() -> None:
        """Hold what is rolled up against what is usual; open and resolve deviations."""
        with _outages_named("deviations"):
            hosts = deviation.look_for_deviations(station.engine, station.clock)
            if hosts:
                station.inbox.announce({"events": hosts})

    @app.task(name=keys.TASK_PUBLISH_CONFIGS)  # type: ignore[untyped-decorator]
    def publish_configs(host_ids: list[int] | None) -> None:
        """Publish the desired configs of these hosts, or with None of all."""
        with _outages_named("publishing configs"):
            duties.publish_configs(station.engine, station.inbox, host_ids)
