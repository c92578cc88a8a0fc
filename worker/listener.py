"""The listener: a thread of each ingest worker that looks at the inboxes and rings for drains and duties.

A Celery message is only a doorbell. What is to be done stands in the inboxes and in the database, so a message that
is lost costs no more than the time until its bells fall silent.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import redis
from celery import bootsteps
from kombu.exceptions import OperationalError

from wire import keys
from worker.consumer import Consumer
from worker.inbox import Inbox, Waiting

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
# Whoever drains keeps the bells ringing while it lives; when it dies, or never was, others may ring after this long.
_BELL_SECONDS = 5
# Longer than Celery lets a task run: by then its message is lost.
_LONGEST_DRAIN_SECONDS = 130.0
_PAUSE_AFTER_FAILURE_SECONDS = 1.0

DUTIES: Mapping[str, float] = {
    keys.TASK_TRIAGE: 2.0,
    keys.TASK_EXPLAIN: 2.0,
    keys.TASK_SWEEP: 5.0,
    keys.TASK_ROLL_UP: 10.0,
    keys.TASK_FORECAST: 30.0,
    keys.TASK_DEVIATE: 10.0,
    keys.TASK_RETAIN: 600.0,
}
"""Periodic tasks and their periods in seconds. Each takes a lease in the database, so a second ring does no harm."""

PATIENT_DUTIES = frozenset({keys.TASK_EXPLAIN, keys.TASK_FORECAST, keys.TASK_DEVIATE})
"""While more waits than the children can take at once, drains go before these, for a minute at the longest."""
_LONGEST_PATIENCE_SECONDS = 60.0

Send = Callable[[str, list[Any]], None]


class Doorbell(NamedTuple):
    """A drain that was rung for, and when, by the monotonic clock."""

    shards: list[int]
    rung_at: float


class Listener:
    """Rings for what waits, with at most one doorbell outstanding for each child of its worker."""

    def __init__(
        self,
        inbox: Inbox,
        send: Send,
        children: int,
        batch_entries: int,
        cap_entries: int,
        check_consumer: Callable[[int, float], None] = lambda *_: None,
        drains_here: Callable[[], Mapping[str, list[int]]] = dict,
    ) -> None:
        """Listen to this inbox.

        ``send`` takes a task's name and arguments; ``check_consumer`` hears every second how many messages wait, and
        the monotonic time; ``drains_here`` gives the shards of the drains that this worker has taken, by token.
        """
        self._inbox = inbox
        self._send = send
        self._children = children
        self._batch_entries = batch_entries
        self._cap_entries = cap_entries
        self._check_consumer = check_consumer
        self._drains_here = drains_here
        self._tokens: dict[str, Doorbell] = {}
        self._drains: dict[str, Doorbell] = {}
        self._behind_since: float | None = None
        self._turn = 0
        self._failing = False
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until stopped; a Redis that is away is waited for."""
        while not self._stopped.is_set():
            try:
                self.look()
            except (redis.RedisError, OperationalError, OSError) as error:
                if not self._failing:
                    log.warning("Redis does not answer, trying on: %s", error)
                self._failing = True
                # Their messages may be lost while their bells come back with Redis: let those end by themselves.
                self._tokens.clear()
                self._stopped.wait(_PAUSE_AFTER_FAILURE_SECONDS)
            else:
                if self._failing:
                    log.warning("Redis answers again")
                self._failing = False
                self._stopped.wait(_LOOK_SECONDS)

    def stop(self) -> None:
        """End ``run`` soon."""
        self._stopped.set()

    def look(self) -> None:
        """Look once and ring for what waits."""
        waiting = self._inbox.look()
        ringing = {row.bell.decode() for row in waiting if row.bell}
        now = time.monotonic()
        self._tokens = {
            token: doorbell
            for token, doorbell in self._tokens.items()
            if token in ringing and now - doorbell.rung_at < _LONGEST_DRAIN_SECONDS
        }
        self._turn += 1
        self._inbox.ask_to_wait([row.shard for row in waiting if row.length > self._cap_entries])
        is_behind = sum(row.length for row in waiting) > self._children * self._batch_entries
        self._behind_since = (self._behind_since or now) if is_behind else None
        if self._turn % round(1 / _LOOK_SECONDS) == 0:
            messages = self._inbox.messages(keys.QUEUE_INGEST)
            self._inbox.keep_ringing(self._attended(messages, now), _BELL_SECONDS)
            self._check_consumer(messages, now)
            for duty, period_seconds in DUTIES.items():
                if not self._waits(duty, now) and self._inbox.is_due(duty, period_seconds):
                    self._send(duty, [])
        unattended = [row for row in waiting if not row.bell]
        for shards in pack(unattended, self._batch_entries, self._children - len(self._tokens), self._turn):
            token = secrets.token_hex(8)
            rung = self._inbox.ring(shards, token, _BELL_SECONDS)
            if rung:
                self._tokens[token] = Doorbell(rung, now)
                self._send(keys.TASK_DRAIN, [rung, token])

    def _waits(self, duty: str, now: float) -> bool:
        is_patient = duty in PATIENT_DUTIES and self._behind_since is not None
        return is_patient and now - (self._behind_since or now) < _LONGEST_PATIENCE_SECONDS

    def _attended(self, messages: int, now: float) -> set[int]:
        """Return the shards whose bells are to go on: drained here, or rung for while a message waits in the queue.

        A message that is in no queue was taken by a worker, which keeps its bells ringing then; or it is lost.
        """
        here = self._drains_here()
        self._drains = {token: self._drains.get(token) or Doorbell(shards, now) for token, shards in here.items()}
        attended = [one for one in self._drains.values() if now - one.rung_at < _LONGEST_DRAIN_SECONDS]
        if messages:
            attended += self._tokens.values()
        return {shard for doorbell in attended for shard in doorbell.shards}


def pack(waiting: Iterable[Waiting], batch_entries: int, doorbells: int, turn: int) -> list[list[int]]:
    """Return at most ``doorbells`` lists of shards to drain, each of about ``batch_entries`` entries.

    ``turn`` rotates which shards come first, so that a few that never empty do not starve the others; those that fill a
    batch alone come last, so that none waits behind a host that floods another.
    """
    if doorbells <= 0:
        return []
    by_turn = sorted(waiting, key=lambda row: (row.length > batch_entries, (row.shard - turn) % keys.SHARDS))
    packed: list[list[int]] = []
    entries = batch_entries
    for row in by_turn:
        if entries >= batch_entries:
            if len(packed) == doorbells:
                break
            packed.append([])
            entries = 0
        packed[-1].append(row.shard)
        entries += row.length
    return packed


class ListenerStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Runs the listener for as long as its worker runs."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin to listen."""
        self._listener: Listener = worker.app.make_listener(Consumer(worker))
        self._thread = threading.Thread(target=self._listener.run, name="listener", daemon=True)
        self._thread.start()

    def stop(self, worker: Any) -> None:
        """Ring no more."""
        self._listener.stop()
        self._thread.join(timeout=5)

    terminate = stop
