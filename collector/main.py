"""The collector's process: snapshots at a steady pace into the spool, a thread that pushes them, an orderly end."""

import contextlib
import logging
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import msgspec

from collector.desired import DesiredConfig
from collector.link import Link
from collector.lock import InUse
from collector.pace import Pace
from collector.push import Pusher
from collector.settings import CollectorSettings
from collector.snapshots import Sampler
from collector.spool import Spool
from collector.wake import Wake
from wire.logs import log_to_stderr
from wire.text import visible

log = logging.getLogger(__name__)

_FAREWELL_SECONDS = 1.0
"""How long the end may take that pushes what is left; what is not pushed then is in the spool."""


def main(settings: CollectorSettings) -> int:
    """Collect and push until SIGTERM or SIGINT; returns the exit code. Must run in the main thread."""
    log_to_stderr(logging.INFO)
    folder = settings.data_dir / "collector"
    try:
        link = Link(settings.redis_url, settings.host_id, settings.key)
        spool = Spool(folder, settings.spool_bytes, time.time())
    except ValueError as error:
        log.error("FLEETMEDIC_REDIS_URL cannot be used: %s", visible(str(error)))
        return 2
    except InUse as error:
        log.error("%s", visible(str(error)))
        return 1
    except OSError as error:
        log.error("the data folder cannot be used (FLEETMEDIC_DATA_DIR chooses another): %s", visible(str(error)))
        return 1
    collector = _Collector(settings, spool, link, folder)
    try:
        return collector.run()
    finally:
        spool.close()


class _Collector:
    def __init__(self, settings: CollectorSettings, spool: Spool, link: Link, folder: Path) -> None:
        self._settings = settings
        self._spool = spool
        self._link = link
        self._desired = DesiredConfig(folder / "config.json")
        self._pusher = Pusher(settings.host_id, settings.key, link, spool, self._desired, settings.interval_seconds)
        self._wake = Wake()
        self._stopping = False
        self._push_failed = False
        self._writable = _Writable(folder / "writable.json")

    def run(self) -> int:
        """Collect until a signal comes, then leave in order; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        log.info(
            "host %d: a snapshot every %g s to Redis at %s",
            self._settings.host_id,
            self._interval(),
            self._link.address,
        )
        pushing = threading.Thread(target=self._push, name="push", daemon=True)
        pushing.start()
        while not self._stopping:
            if self._desired.config.paused:
                self._stay_paused()
            else:
                self._collect()
        self._pusher.stop()
        pushing.join(_FAREWELL_SECONDS)
        log.info("stopped; %s", self._left_behind())
        return 1 if self._push_failed else 0

    def _push(self) -> None:
        """Run the pusher; should it ever fail, so does the collector, for whoever keeps it running to see."""
        try:
            self._pusher.run(self._wake.set)
        finally:
            self._push_failed = not self._stopping
            self._stopping = True
            self._wake.set()

    def _collect(self) -> None:
        """Take snapshots until paused or stopped."""
        sampler = Sampler(self._writable.pairs, self._settings.host_root)
        pace = self._pace()
        while not self._stopping and not self._desired.config.paused:
            if pace.interval_seconds != self._interval():
                log.info("a snapshot every %g s from now on", self._interval())
                pace = self._pace()
            at = time.monotonic()
            wait = pace.wait(at)
            if wait > 0:
                self._wake.wait(wait)
                continue
            now = time.time()
            body = sampler.take(now, at, pace.interval_seconds, self._services())
            self._writable.update(sampler.writable)
            self._spool.append(body, now)
            self._pusher.notify()
            pace.advance(time.monotonic())

    def _stay_paused(self) -> None:
        log.info("paused by the server: no snapshots until it resumes this host")
        while not self._stopping and self._desired.config.paused:
            self._wake.wait(self._interval())
        if not self._stopping:
            log.info("resumed by the server")

    def _pace(self) -> Pace:
        return Pace(time.monotonic(), self._settings.first_interval_seconds, self._interval())

    def _interval(self) -> float:
        return self._desired.config.interval_seconds or self._settings.interval_seconds

    def _services(self) -> list[str]:
        return list(dict.fromkeys((*self._settings.services, *self._desired.config.services)))

    def _left_behind(self) -> str:
        waiting = self._spool.last - self._spool.acknowledged
        return f"{waiting} snapshots wait in the spool for their acknowledgement" if waiting else "all is acknowledged"

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._wake.set()


class _Writable:
    """The (device, mount) pairs that were seen writable, remembered over a restart."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.pairs: frozenset[tuple[str, str]] = frozenset()
        # Nothing remembered yet, or nothing that can be used: what is seen from now on is remembered.
        with contextlib.suppress(OSError, ValueError):
            self.pairs = frozenset(msgspec.json.decode(file.read_bytes(), type=list[tuple[str, str]]))

    def update(self, pairs: frozenset[tuple[str, str]]) -> None:
        if pairs != self.pairs:
            self.pairs = pairs
            try:
                self._file.write_bytes(msgspec.json.encode(sorted(pairs)))
            except OSError as error:
                log.debug("not remembered: %s", error)
