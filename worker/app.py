"""The Celery app of a worker, and the process around it."""

import logging
import os
import socket
import time
import warnings
from collections.abc import Sequence
from typing import Any

import redis
from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning

import migrations
from store.engine import connect
from store.own_remedies import Origin
from store.settings import ServerSettings
from wire import keys
from wire.logs import log_to_stderr
from wire.redis_url import broker_tls
from worker.consumer import Consumer
from worker.garbage import search_rarely
from worker.inbox import Inbox
from worker.listener import Listener, ListenerStep
from worker.pool import TaskPool
from worker.remedies import own
from worker.remedies.templates import load_all
from worker.remedies.watch import Watch, WatchStep, publish_to
from worker.script_jobs import publish_catalogue
from worker.tasks import Station, add_tasks

log = logging.getLogger(__name__)

# kombu sets no time-outs of its own: a connection that is half open stalled a worker for over 150 s.
_REDIS_TIMEOUTS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 5,
}


QUEUES = (keys.QUEUE_INGEST, keys.QUEUE_SCRIPTS)
"""What a worker works on unless it is told otherwise."""


def create_app(settings: ServerSettings, station: Station, children: int, queues: Sequence[str] = QUEUES) -> Celery:
    """Return the Celery app with its tasks, its watch and, where it works on the ingest queue, its listener."""
    app = Celery("fleetmedic", broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue=keys.QUEUE_INGEST,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=120,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=100_000,
        worker_max_memory_per_child=1_000_000,
        worker_send_task_events=False,
        # A drain that is cut off from Redis may commit: nothing is counted twice.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # After a lost connection Celery takes fewer tasks until the running ones end, and then it may take none.
        worker_enable_prefetch_count_reduction=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_use_ssl=broker_tls(settings.redis_url),
        broker_transport_options={
            **_REDIS_TIMEOUTS,
            "visibility_timeout": 300,
            "unacked_restore_interval": 1,
        },
    )
    add_tasks(app, station)
    app.steps["worker"].add(WatchStep)
    if keys.QUEUE_INGEST in queues:
        app.steps["worker"].add(ListenerStep)

    def make_listener(consumer: Consumer) -> Listener:
        def send(task: str, arguments: list[Any]) -> None:
            app.send_task(task, args=arguments, queue=keys.QUEUE_INGEST, ignore_result=True, retry=False)

        return Listener(
            Inbox(connect_redis(settings)),
            send,
            children,
            settings.batch_entries,
            settings.inbox_cap_entries,
            consumer.check,
            consumer.drains,
        )

    def make_watch() -> Watch:
        folder = settings.data_dir / own.FOLDER
        origin = Origin(socket.gethostname(), str(folder))
        return Watch(folder, station.templates.keys(), publish_to(station.engine, origin, station.clock))

    app.make_listener = make_listener
    app.make_watch = make_watch
    return app


def connect_redis(settings: ServerSettings) -> "redis.Redis":
    """Return a client for the inboxes; nothing is opened yet. It tries nothing twice: its callers do, and know it."""
    return redis.Redis.from_url(settings.redis_url, retry=None, **_REDIS_TIMEOUTS)


def _without_traceback_of_outages(record: logging.LogRecord) -> bool:
    """Let a Redis that is away be one line, wherever in Celery or kombu it is noticed."""
    if record.exc_info and isinstance(record.exc_info[1], redis.RedisError):
        record.exc_info = None
        record.exc_text = None
    return True


def main(settings: ServerSettings, concurrency: int, queues: Sequence[str] = QUEUES) -> int:
    """Work on these queues until SIGTERM, with ``concurrency`` child processes; wait for the database first.

    Raises SettingError and UnsafeSqlite.
    """
    engine = connect(settings.database_url)
    log_to_stderr(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_traceback_of_outages)
    for chatty in ("celery", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Celery's warning of root is about pickle; this worker takes JSON only.
    warnings.simplefilter("ignore", SecurityWarning)
    # Of a default that changes in Celery 6, and is set here.
    warnings.simplefilter("ignore", CPendingDeprecationWarning)
    migrations.wait_until_current(engine, log.info)
    templates = load_all()
    publish_catalogue(engine, templates, time.time())
    # The children are forked from here and must not share a connection.
    engine.dispose()
    search_rarely()
    station = Station(settings, engine, Inbox(connect_redis(settings)), templates, time.time)
    app = create_app(settings, station, concurrency, queues)
    signals.worker_process_init.connect(lambda **_: engine.dispose(close=False), weak=False)
    log.info("worker with %d processes for %s on %s", concurrency, " and ".join(queues), engine.url.render_as_string())
    worker = app.Worker(
        concurrency=concurrency,
        pool=TaskPool,
        queues=list(queues),
        hostname=f"fleetmedic-{os.getpid()}@%h",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
