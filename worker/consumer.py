"""Celery's consumer, watched for deafness: it can lose its connection and not notice.

When the acknowledgement of a task fails, kombu still counts that task as under way; with a prefetch of one the consumer
then never asks for another, and never sees that its connection is gone. So when messages wait, a child is free and none
is taken for long, it is made to connect again.
"""

import logging
from typing import Any

import redis
from celery.worker import state

from wire import keys

log = logging.getLogger(__name__)

# A child that is free takes a message within milliseconds.
_DEAF_SECONDS = 10.0


class Consumer:
    """The consumer of one worker, for its listener."""

    def __init__(self, worker: Any) -> None:
        """Watch the consumer of Celery's ``worker``, now and after it was made anew."""
        self._worker = worker
        self._taken = 0
        self._deaf_since: float | None = None

    def drains(self) -> dict[str, list[int]]:
        """Return the shards of the drains that it has taken and that are not over, by their tokens."""
        # A copy at once: the consumer's own thread goes on.
        taken = [request.args for request in list(state.requests.values()) if request.name == keys.TASK_DRAIN]
        return {token: shards for shards, token in taken}

    def check(self, waiting_messages: int, at: float) -> None:
        """Make it connect again when it is deaf, given how many messages wait at this moment of monotonic time."""
        taken = sum(state.total_count.values())
        # Celery forgets a task when it is over, before the acknowledgement that may fail.
        busy = len(state.requests) >= self._worker.concurrency
        if not waiting_messages or busy or taken != self._taken:
            self._taken = taken
            self._deaf_since = None
        elif self._deaf_since is None:
            self._deaf_since = at
        elif at - self._deaf_since >= _DEAF_SECONDS:
            self._deaf_since = None
            log.warning("Celery does not take what waits for it: connecting again")
            self._worker.consumer.call_soon(_lose_connection)


def _lose_connection() -> None:
    raise redis.ConnectionError("the connection to the broker is given up")
