"""Celery's pool of processes, which misses the death of some."""

from typing import Any

from celery.concurrency import asynpool, prefork

_LOOK_SECONDS = 0.01


class _Pool(asynpool.AsynPool):  # type: ignore[misc]  # Celery has no types
    def _event_process_exit(self, hub: Any, process: Any) -> None:
        super()._event_process_exit(hub, process)
        # A process that is killed closes its files, which is what Celery hears, a moment before it can be seen to be
        # dead. Celery would then look again after 5 s, and meanwhile nobody does its work.
        if process in self._pool:
            hub.call_later(_LOOK_SECONDS, self._event_process_exit, hub, process)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]  # Celery has no types
    """Processes that are replaced at once when they die, and whose tasks then go back to the queue."""

    Pool = _Pool
