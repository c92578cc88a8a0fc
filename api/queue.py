"""Handing work to the workers: Celery tasks by name, so that the API knows nothing of the worker's code."""

from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import OperationalError

from wire.redis_url import broker_tls

_TIMEOUT_SECONDS = 2.0


class QueueDown(RuntimeError):
    """Redis did not take the task."""


class Queue:
    """Sends tasks. A person waits for the answer, so it gives up after two seconds instead of retrying."""

    def __init__(self, redis_url: str) -> None:
        """Prepare to send to the Redis at this URL; nothing is opened yet."""
        self._celery = Celery("fleetmedic-api", broker=redis_url, set_as_current=False)
        self._celery.conf.update(
            task_serializer="json",
            accept_content=["json"],
            broker_connection_timeout=_TIMEOUT_SECONDS,
            broker_use_ssl=broker_tls(redis_url),
            broker_transport_options={
                "socket_timeout": _TIMEOUT_SECONDS,
                "socket_connect_timeout": _TIMEOUT_SECONDS,
                "socket_keepalive": True,
                "health_check_interval": 5,
            },
        )

    def send(self, queue: str, task: str, args: Sequence[object]) -> None:
        """Send a task to a queue. Raises QueueDown."""
        try:
            self._celery.send_task(task, args=list(args), queue=queue, ignore_result=True, retry=False)
        except OperationalError as error:
            raise QueueDown(str(error)) from error
