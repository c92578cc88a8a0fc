"""Celery's consumer, watched for deafness: it can lose its connection and not notice.

When the acknowledgement of a task fails, kombu still counts that task as under way; with a prefetch of one the consumer
then never asks for another, and never sees that its connection is gone. All else being well, no task is under way and
yet messages wait: then it is made to connect again.
"""

import logging
from typing import Any

import redis
from celery.worker import state

log = logging.getLogger(__name__)

# A message that comes is taken within milliseconds.
_DEAF_SECONDS = 3.0


class Consumer:
    """The consumer of one worker, for its listener."""

    def __init__(self, worker: Any) -> None:
        """Watch the consumer of Celery's ``worker``, now and after it was made anew."""
        self._worker = worker
        self._deaf_since: float | None = None

    def check(self, waiting_messages: int, at: float) -> None:
        """Make it connect again when it is deaf, given how many messages wait at this moment of monotonic time."""
        if not waiting_messages or state.active_requests or state.reserved_requests:
            self._deaf_since = None
        elif self._deaf_since is None:
            self._deaf_since = at
        elif at - self._deaf_since >= _DEAF_SECONDS:
            self._deaf_since = None
            log.warning("Celery does not take what waits for it: connecting again")
            self._worker.consumer.call_soon(_lose_connection)


def _lose_connection() -> None:
    raise redis.ConnectionError("the connection to the broker is given up")
