"""Celery's pool of processes, watched more closely."""

from collections.abc import Callable, Mapping

from celery.concurrency import asynpool, prefork

# A process that is killed closes its files, which Celery hears, a moment before it can be seen to be dead; it is then
# not looked for again until the next turn, which in Celery is every 5 s. Meanwhile nobody does its work.
_LOOK_SECONDS = 0.1


class _Pool(asynpool.AsynPool):  # type: ignore[misc]  # Celery has no types
    @property
    def timers(self) -> Mapping[Callable[[], None], float]:
        return {self.maintain_pool: _LOOK_SECONDS}


class TaskPool(prefork.TaskPool):  # type: ignore[misc]  # Celery has no types
    """Processes that are replaced at once when they die, and whose tasks then go back to the queue."""

    Pool = _Pool
