"""Pushing the spool to Redis: go-back-N, one round trip a snapshot.

A round trip pushes what was not pushed yet and asks for the acknowledgement, the config and the flag ``full``. Its
answer to the acknowledgement is therefore that of the push before. Nothing is dropped from the spool before it is
acknowledged, and everything unacknowledged is pushed again after a new connection, when the acknowledgement is gone
from Redis (it was flushed), or when it has not moved for a few intervals; then at ever longer times, as the entries
most likely wait in the inbox of a server that is busy.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from collector.desired import DesiredConfig
from collector.link import Link, LinkDown
from collector.spool import Spool, Standing
from wire import keys
from wire.entry import seal

log = logging.getLogger(__name__)

WINDOW_ENTRIES = 256
"""The most entries that wait for an acknowledgement; more stay in the spool. Bounds what one host takes of Redis."""
WINDOW_BYTES = 1024 * 1024
CROWDED_ENTRIES = 100_000
"""An inbox with more entries than this is one that nobody empties: what is in it need not be sent again."""
CATCH_UP_SECONDS = 0.25
"""Between two round trips while there is more to push than one window holds."""
LEAST_RESEND_SECONDS = 3.0
MOST_RESEND_SECONDS = 600.0
LEAST_BACK_OFF_SECONDS = 0.25
MOST_BACK_OFF_SECONDS = 10.0
NEW_INCARNATION_SECONDS = 60.0
_LOST_HISTORY = "the server lost what it had acknowledged"


class Pusher:
    """The protocol of one host, driven by ``run`` in a thread of its own, or round trip by round trip."""

    def __init__(
        self, host_id: int, key: bytes, link: Link, spool: Spool, desired: DesiredConfig, interval_seconds: float
    ) -> None:
        """``interval_seconds`` is the pace until the config asks for another."""
        self._host_id = host_id
        self._key = key
        self._link = link
        self._spool = spool
        self._desired = desired
        self._interval_seconds = interval_seconds
        shard = keys.shard_of(host_id)
        self._inbox = keys.inbox(shard)
        self._asks = (
            ("GET", keys.ack(host_id)),
            ("GET", keys.config(host_id)),
            ("GET", keys.full(shard)),
        )
        # What was pushed over this connection: up to which ordinal, and since when nothing of it was acknowledged.
        self._pushed = spool.acknowledged
        self._waiting_since: float | None = None
        self._resends = 0
        self._fruitless = 0
        self._knows_position = False
        self._full = False
        self._crowded = False
        self._ack: bytes | None = None
        self._behind_since: float | None = None
        self._new_incarnation_at = -NEW_INCARNATION_SECONDS
        self._trouble = ""
        self._failures = 0
        self._wake = threading.Event()
        self._stopping = False

    # The thread

    def run(self, on_config: Callable[[], None]) -> None:
        """Push until ``stop``, then once more if there is anything left. ``on_config`` hears of every new config."""
        delay = 0.0
        while True:
            # While Redis is down a new snapshot is no reason to try earlier.
            if self._failures:
                self._pause(delay)
            else:
                self._wake.wait(delay)
            self._wake.clear()
            farewell = self._stopping
            if farewell and not (self._link.is_open and self._has_more()):
                break
            delay = self._attempt(on_config)
            if farewell:
                break
        self._link.close()

    def notify(self) -> None:
        """Say that it is time for a round trip: a snapshot was appended, or the config is to be asked for."""
        self._wake.set()

    def stop(self) -> None:
        """Ask ``run`` to end."""
        self._stopping = True
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            self._wake.wait(left)
            if not self._stopping:
                self._wake.clear()

    def _attempt(self, on_config: Callable[[], None]) -> float:
        """Make one round trip and return how long to wait for the next, unless there is news before."""
        try:
            news = self.round_trip(time.monotonic(), time.time())
        except LinkDown as error:
            self._failures += 1
            if self._trouble != str(error):
                self._trouble = str(error)
                log.warning("%s; snapshots are kept in the spool", self._trouble)
            longest = min(MOST_BACK_OFF_SECONDS, LEAST_BACK_OFF_SECONDS * 2.0 ** min(self._failures, 10))
            return longest * random.uniform(0.5, 1.0)
        self._failures = 0
        if self._trouble:
            log.info("Redis at %s answers again", self._link.address)
            self._trouble = ""
        if news:
            on_config()
        return self._rest()

    def _rest(self) -> float:
        """Return how long to wait when nothing new comes: an interval, or a moment while catching up."""
        if self._desired.config.paused or self._full or not self._has_more():
            return self._interval()
        return min(self._interval(), CATCH_UP_SECONDS * random.uniform(0.8, 1.2) * 2.0 ** min(self._fruitless, 16))

    def _has_more(self) -> bool:
        return self._spool.last > self._pushed

    def _interval(self) -> float:
        return self._desired.config.interval_seconds or self._interval_seconds

    # The protocol

    def round_trip(self, at: float, now: float) -> bool:
        """Push and ask once; say whether the config is new. ``at`` is monotonic, ``now`` Unix time. Raises LinkDown.

        The first round trip of a connection only asks, so that what the server has already is not pushed again,
        and a paused host pushes nothing.
        """
        if not self._link.is_open:
            self._knows_position = False
            self._link.open()
            self._go_back()
        entries = self._sealed(at, now) if self._knows_position else []
        commands: list[Sequence[str | bytes]] = [("RPUSH", self._inbox, *entries)] if entries else []
        *pushed, ack, config, full = self._link.exchange([*commands, *self._asks])
        # RPUSH tells how long the list is now: where no worker lives to say that the inbox is full, that says it.
        if pushed:
            self._crowded = isinstance(pushed[0], int) and pushed[0] > CROWDED_ENTRIES
        news = self._desired.update(_bytes_or_none(config))
        self._full = full is not None
        before = self._spool.acknowledged
        self._heed(_bytes_or_none(ack), at, now)
        self._fruitless = 0 if entries or self._spool.acknowledged > before else self._fruitless + 1
        if not self._knows_position:
            self._knows_position = True
            return self.round_trip(at, now) or news
        return news

    def _sealed(self, at: float, now: float) -> list[bytes]:
        """Return the next entries to push, within what the window leaves, and count them as pushed."""
        if self._desired.config.paused or self._full:
            return []
        if self._waiting_since is not None and at - self._waiting_since > self._patience():
            self._resends += 1
            self._go_back()
        if self._crowded and self._waiting_since is not None:
            return []
        room = 1 if self._crowded else WINDOW_ENTRIES - (self._pushed - self._spool.acknowledged)
        items = self._spool.read(self._pushed, room, WINDOW_BYTES) if room > 0 else []
        if items:
            self._pushed = items[-1].ordinal
            if self._waiting_since is None:
                self._waiting_since = at
        return [
            seal(self._key, self._host_id, item.incarnation, item.sequence, now, item.body, item.kind) for item in items
        ]

    def _patience(self) -> float:
        """Return how long an acknowledgement may stay away; hosts that lost theirs together do not resend together."""
        few_intervals = max(LEAST_RESEND_SECONDS, 3 * self._interval())
        jitter = 1 + 0.25 * (self._host_id % 97) / 97
        return jitter * min(few_intervals * 2.0 ** min(self._resends, 16), max(MOST_RESEND_SECONDS, few_intervals))

    def _go_back(self) -> None:
        self._pushed = self._spool.acknowledged
        self._waiting_since = None

    def _heed(self, value: bytes | None, at: float, now: float) -> None:
        """Act on the acknowledgement and on the incarnation that the server wants at least."""
        lost = value is None and self._ack is not None
        self._ack = value
        standing = Standing.CURRENT
        incarnation = sequence = 0
        if value is not None:
            try:
                incarnation, sequence = keys.parse_ack(value)
            except ValueError:
                log.warning("the acknowledgement in Redis is none: is its key used by something else?")
                return
            before = self._spool.acknowledged
            standing = self._spool.acknowledge(incarnation, sequence)
            if self._spool.acknowledged > before:
                self._resends = 0
                self._crowded = False
                self._waiting_since = at if self._pushed > self._spool.acknowledged else None
                self._pushed = max(self._pushed, self._spool.acknowledged)
        if lost:
            self._go_back()
        if standing is not Standing.BEHIND:
            self._behind_since = None
        elif self._behind_since is None:
            # A Redis that came back with older data is corrected by the server's next drain.
            self._behind_since = at
        elif at - self._behind_since >= LEAST_RESEND_SECONDS:
            log.warning("the server lost what it had acknowledged: sending what is still here, declaring the rest lost")
            self._spool.rewind(incarnation, sequence, _LOST_HISTORY)
            self._go_back()
            self._behind_since = None
        wanted = self._desired.config.minimum_incarnation
        if standing is Standing.AHEAD or wanted > self._spool.incarnation:
            self._start_incarnation(max(incarnation + 1, wanted, int(now * 1000)), at)

    def _start_incarnation(self, incarnation: int, at: float) -> None:
        if at - self._new_incarnation_at < NEW_INCARNATION_SECONDS:
            return
        self._new_incarnation_at = at
        log.warning(
            "another collector uses, or used, the key of this host (was it cloned or restored?): starting "
            "incarnation %d; enroll each machine on its own",
            incarnation,
        )
        self._spool.start_incarnation(incarnation)
        self._resends = 0
        self._go_back()


def _bytes_or_none(reply: bytes | int | None) -> bytes | None:
    return reply if isinstance(reply, bytes) else None
