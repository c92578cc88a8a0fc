"""The kinds of faults, and how each is done to the parts."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random

import psutil

from cli.bench.faults import poison
from cli.bench.faults.proxy import Proxy
from cli.bench.faults.site import Site
from cli.bench.faults.small_disk import SmallDisk
from cli.bench.faults.witness import Seen
from wire import keys

KINDS = (
    "worker_child_kill",
    "worker_kill",
    "redis_kill",
    "redis_wipe",
    "redis_flush",
    "postgres_kill",
    "collector_kill",
    "collector_link_cut",
    "collector_link_delay",
    "collector_link_half_close",
    "worker_link_cut",
    "worker_link_delay",
    "worker_link_half_close",
    "spool_disk_full",
    "database_disk_full",
    "clock_forward",
    "clock_back",
    "delivery_twice",
    "delivery_shuffled",
    "poison",
)
_LEAST_STEP_SECONDS = 3600.0
_STALLED_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.02


class Hazards:
    """Does a fault of a kind, all of it: what was harmed is mended, or started again, when it is done."""

    def __init__(self, site: Site, random: Random) -> None:
        """Harm this site; what is left open is drawn from ``random``."""
        self._site = site
        self._random = random
        self._rounds = 0
        self._kinds: Mapping[str, Callable[[], bool]] = {kind: getattr(self, f"_{kind}") for kind in KINDS}

    def inflict(self, kind: str) -> bool:
        """Do it, and say whether it could be done."""
        return self._kinds[kind]()

    def _hold(self, least: float, most: float) -> None:
        time.sleep(self._random.uniform(least, most))

    # Processes

    def _worker_child_kill(self) -> bool:
        worker = self._random.choice(self._site.workers)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            children = worker.children()
            # None where it was started just now; and one may end at this moment.
            with suppress(psutil.NoSuchProcess, IndexError):
                self._random.choice(children).kill()
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _worker_kill(self) -> bool:
        worker = self._random.choice(self._site.workers)
        worker.kill()
        worker.start()
        return True

    def _collector_kill(self) -> bool:
        machine = self._random.choice(self._site.machines)
        self._wait_for_spools()
        machine.kill()
        machine.start()
        return True

    def _redis_kill(self) -> bool:
        self._site.redis_server.kill()
        self._hold(0.0, 0.5)
        self._site.redis_server.start()
        return True

    def _redis_wipe(self) -> bool:
        self._site.redis_server.kill()
        self._site.redis_server.wipe()
        self._site.redis_server.start()
        return True

    def _redis_flush(self) -> bool:
        self._site.client.flushall()
        return True

    def _postgres_kill(self) -> bool:
        self._site.postgres.kill()
        self._hold(0.0, 0.5)
        self._site.postgres.start()
        return True

    # Connections

    def _collector_link_cut(self) -> bool:
        return self._cut(self._site.collector_proxy)

    def _worker_link_cut(self) -> bool:
        return self._cut(self._site.worker_proxy)

    def _collector_link_delay(self) -> bool:
        return self._delay(self._site.collector_proxy)

    def _worker_link_delay(self) -> bool:
        return self._delay(self._site.worker_proxy)

    def _collector_link_half_close(self) -> bool:
        return self._site.collector_proxy.half_close() > 0

    def _worker_link_half_close(self) -> bool:
        return self._site.worker_proxy.half_close() > 0

    def _cut(self, proxy: Proxy) -> bool:
        connections = proxy.cut()
        self._hold(0.0, 0.5)
        proxy.mend()
        return connections > 0

    def _delay(self, proxy: Proxy) -> bool:
        connections = proxy.delay(self._random.uniform(0.1, 0.5))
        self._hold(0.5, 1.5)
        proxy.mend()
        return connections > 0

    # Disks

    def _spool_disk_full(self) -> bool:
        disk = self._site.spool_disk
        if disk is None:
            return False
        self._wait_for_spools()
        end = time.monotonic() + self._random.uniform(1.0, 1.5)
        return self._keep_full(disk, lambda: time.monotonic() > end)

    def _database_disk_full(self) -> bool:
        disk = self._site.database_disk
        if disk is None:
            return False
        # There is room left in the tables' pages: it begins to count when that is gone.
        has_stalled = self._stall()
        end = time.monotonic() + _PATIENCE_SECONDS
        full = self._keep_full(disk, lambda: has_stalled() or time.monotonic() > end)
        if not self._site.postgres.is_running():
            # Without room for its log it gives up, and cannot start.
            self._site.postgres.start()
        return full and has_stalled()

    def _keep_full(self, disk: SmallDisk, is_over: Callable[[], bool]) -> bool:
        """Leave no room on a disk until then, and say whether there was none."""
        full = False
        try:
            while not is_over():
                full |= disk.fill()
                time.sleep(_LOOK_SECONDS)
        finally:
            disk.free()
        return full

    def _stall(self) -> Callable[[], bool]:
        """Return what says, when it is asked again and again, whether acknowledgements stopped for a while."""
        before, since, stalled = -1, 0.0, False

        def has_stalled() -> bool:
            nonlocal before, since, stalled
            acknowledged = sum(host.acknowledged for host in self._site.board.progress())
            if acknowledged != before:
                before, since = acknowledged, time.monotonic()
            stalled = stalled or time.monotonic() - since > _STALLED_SECONDS
            return stalled

        return has_stalled

    def _wait_for_spools(self) -> None:
        """Wait until every host has spooled something once more.

        What a full disk did not take is in memory until then, and would die with its collector; and a collector that
        was just killed does not start on a full disk.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        before = self._site.board.progress()
        while time.monotonic() < deadline:
            now = self._site.board.progress()
            if all(host.last > earlier.last for host, earlier in zip(now, before, strict=True)):
                return
            time.sleep(_LOOK_SECONDS)

    # What hosts say

    def _clock_forward(self) -> bool:
        return self._step_clock(1)

    def _clock_back(self) -> bool:
        return self._step_clock(-1)

    def _step_clock(self, direction: int) -> bool:
        # One machine only: of the others' hosts the oracle knows better what to expect.
        machine = len(self._site.machines) - 1
        by = direction * self._random.uniform(_LEAST_STEP_SECONDS, 4 * _LEAST_STEP_SECONDS)
        self._site.board.step_clock(machine, self._site.board.clock_error(machine) + by)
        return True

    def _delivery_twice(self) -> bool:
        return self._deliver(self._site.witness.latest())

    def _delivery_shuffled(self) -> bool:
        seen = self._site.witness.latest()
        self._random.shuffle(seen)
        return self._deliver(seen)

    def _deliver(self, seen: list[Seen]) -> bool:
        pipeline = self._site.client.pipeline(transaction=False)
        for one in seen:
            pipeline.rpush(one.inbox, one.entry)
        pipeline.execute()
        return bool(seen)

    def _poison(self) -> bool:
        self._rounds += 1
        now = time.time()
        pipeline = self._site.client.pipeline(transaction=False)
        for shard, (first, second) in self._site.crooks.items():
            entries = [
                *poison.unreadable(self._random),
                *poison.bad_bodies(first, self._rounds, now),
                *poison.at_the_end_of_numbers(second, now),
            ]
            pipeline.rpush(keys.inbox(shard), *entries)
        for one in poison.forged(self._site.witness.latest()):
            pipeline.rpush(one.inbox, one.entry)
        pipeline.execute()
        return True
