"""The seeded schedule: which fault comes when, and how long it took until acknowledgements flowed again."""

import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from cli.bench.faults.board import Board, Progress

_LOOK_SECONDS = 0.01
_CALM_SECONDS = 0.3
"""At most between a recovery and the next fault."""
_BURST = 0.3
"""The chance that a fault does not wait for the recovery from the one before."""
PATIENCE_SECONDS = 60.0
"""For the recovery from any fault."""


class _Fault(NamedTuple):
    kind: str
    ended_at: float
    before: Sequence[Progress]


class Recoveries:
    """Watches the board, in a thread of its own, for acknowledgements of what was made after a fault had ended."""

    def __init__(self, board: Board) -> None:
        """Watch this board, from ``start`` to ``stop``."""
        self._board = board
        self._mutex = threading.Lock()
        self._open: list[_Fault] = []
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="recoveries", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join()

    def expect(self, kind: str) -> None:
        """Time the recovery from a fault of this kind, which has ended just now."""
        with self._mutex:
            self._open.append(_Fault(kind, time.monotonic(), self._board.progress()))

    def settled(self) -> bool:
        """Say whether all faults are recovered from."""
        with self._mutex:
            return not self._open

    def figures(self) -> dict[str, dict[str, float]]:
        """Return median and maximum in seconds, by kind."""
        return {
            kind: {"median": round(statistics.median(seconds), 2), "max": round(max(seconds), 2)}
            for kind, seconds in sorted(self._seconds.items())
        }

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            now, progress = time.monotonic(), self._board.progress()
            with self._mutex:
                still = []
                for fault in self._open:
                    if all(
                        host.acknowledged > before.last for host, before in zip(progress, fault.before, strict=True)
                    ):
                        self._seconds[fault.kind].append(now - fault.ended_at)
                    else:
                        still.append(fault)
                self._open = still


class Schedule:
    """Every kind once, in a shuffled order, however long that takes; then any kind until the time is over.

    A kind that could not be done is tried again, for a minute after the time is over at most.

    While there is time a fault waits for the recovery from the one before; now and then it does not.
    """

    def __init__(self, kinds: Sequence[str], seconds: float, random: Random) -> None:
        """Plan for so long."""
        self._kinds = list(kinds)
        self._seconds = seconds
        self._random = random
        self.fired: Counter[str] = Counter(dict.fromkeys(kinds, 0))

    def run(self, inflict: Callable[[str], bool], recoveries: Recoveries, meanwhile: Callable[[], None]) -> None:
        """Do it. ``inflict`` does a fault and says whether it could; ``meanwhile`` is called again and again."""
        deadline = time.monotonic() + self._seconds
        for kind, left in self._order(deadline):
            patience = (deadline - time.monotonic()) / left if left else PATIENCE_SECONDS
            if left == 0 and self._random.random() < _BURST:
                patience = 0.0
            until = time.monotonic() + patience
            while not recoveries.settled() and time.monotonic() < until:
                meanwhile()
                time.sleep(_LOOK_SECONDS)
            time.sleep(max(0.0, min(self._random.uniform(0, _CALM_SECONDS), until - time.monotonic())))
            if inflict(kind):
                self.fired[kind] += 1
                recoveries.expect(kind)

    def _order(self, deadline: float) -> Iterator[tuple[str, int]]:
        """Yield the next kind, and how many of the first round are to come with it; 0 after that round."""
        first = self._random.sample(self._kinds, len(self._kinds))
        for done, kind in enumerate(first):
            yield kind, len(first) - done
        while (now := time.monotonic()) < deadline + PATIENCE_SECONDS:
            # A kind may have found nothing to break: no connection is open while all are made anew.
            missing = [kind for kind in self._kinds if not self.fired[kind]]
            if not missing and now >= deadline:
                return
            yield missing[0] if missing else self._random.choice(self._kinds), 0
