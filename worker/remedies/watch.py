"""The watch: a thread of each worker that looks at the folder of own remedies, and publishes what it finds.

Every process of a worker reads what is published from the store, so a change holds in all of them at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import bootsteps
from sqlalchemy import Engine

from store import own_remedies
from store.engine import OUTAGES, writing
from store.own_remedies import Found, Origin
from wire.text import visible
from worker.forks import no_fork
from worker.remedies.own import Fingerprint, examine, fingerprints

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_RENEW_SECONDS = 60.0
# What is bad may be so only here and now: a program that is missing, a machine that is too busy.
_TRY_AGAIN_SECONDS = 600.0
_PAUSE_AFTER_FAILURE_SECONDS = 30.0

Publish = Callable[[Sequence[Found]], None]


@dataclass(frozen=True)
class _Examined:
    """What a folder was found to be in this state, and when, in monotonic seconds."""

    state: Fingerprint
    found: Found
    at: float


class Watch:
    """Looks at one folder, and publishes what is in it whenever that changed."""

    def __init__(self, folder: Path, built_in: Collection[str], publish: Publish) -> None:
        """Watch this folder, which need not be there; ``built_in`` are names that no own remedy can have.

        ``publish`` may raise one of store.engine.OUTAGES; it is then called again at the next look.
        """
        self._folder = folder
        self._built_in = built_in
        self._publish = publish
        self._seen: dict[str, Fingerprint] | None = None
        self._examined: dict[str, _Examined] = {}
        self._published_at: float | None = None
        self._failing = False
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.is_set():
            try:
                self.look(time.monotonic())
                self._stopped.wait(_LOOK_SECONDS)
            except Exception:
                log.exception("own remedies in %s cannot be looked at", self._folder)
                self._stopped.wait(_PAUSE_AFTER_FAILURE_SECONDS)

    def stop(self) -> None:
        """End ``run`` soon."""
        self._stopped.set()

    def look(self, now: float) -> None:
        """Look once, at these monotonic seconds. What is as it was at the last look is whole, and is examined."""
        seen = fingerprints(self._folder)
        is_settled, self._seen = seen == self._seen, seen
        if not is_settled:
            return
        found = [one.found for one in self._examined.values()]
        self._examined = {name: self._newest(name, state, now) for name, state in seen.items()}
        if [one.found for one in self._examined.values()] != found:
            self._published_at = None
        if self._published_at is None or (self._examined and now >= self._published_at + _RENEW_SECONDS):
            self._try_to_publish(now)

    def _newest(self, name: str, state: Fingerprint, now: float) -> "_Examined":
        known = self._examined.get(name)
        if known and known.state == state and (known.found.fault is None or now < known.at + _TRY_AGAIN_SECONDS):
            return known
        found = examine(self._folder / name, self._built_in)
        if found.fault is not None and (known is None or found != known.found):
            log.warning("own remedy %s is left out: %s", found.folder, found.fault)
        return _Examined(state, found, now)

    def _try_to_publish(self, now: float) -> None:
        try:
            self._publish([one.found for one in self._examined.values()])
        except OUTAGES as error:
            if not self._failing:
                log.warning("own remedies are published later: %s", visible(str(error).partition("\n")[0]))
            self._failing = True
        else:
            self._published_at = now
            self._failing = False


def publish_to(engine: Engine, origin: Origin, clock: Callable[[], float]) -> Publish:
    """Return what publishes to this store as this origin, in a process that forks."""

    def publish(found: Sequence[Found]) -> None:
        with no_fork():
            try:
                with writing(engine) as connection:
                    own_remedies.publish(connection, origin, found, clock())
            finally:
                engine.dispose()

    return publish


class WatchStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Runs the watch for as long as its worker runs."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin to look."""
        self._watch: Watch = worker.app.make_watch()
        self._thread = threading.Thread(target=self._watch.run, name="own remedies", daemon=True)
        self._thread.start()

    def stop(self, worker: Any) -> None:
        """Look no more."""
        self._watch.stop()
        self._thread.join(timeout=5)

    terminate = stop
