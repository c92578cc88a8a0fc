"""How many streams of changes one process holds open."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_STREAMS = 16
_HEARTBEAT_SECONDS = 15.0


@dataclass
class Streams:
    """The streams of one process: how many there may be, and whether they are to end."""

    limit: int = MAX_STREAMS
    heartbeat_seconds: float = _HEARTBEAT_SECONDS
    are_to_end: Callable[[], bool] = lambda: False
    """Tells whether the server stops."""
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Open one more; return False where there may be none."""
        with self._lock:
            if self._open >= self.limit:
                return False
            self._open += 1
            return True

    def give_back(self) -> None:
        """Count one less."""
        with self._lock:
            self._open -= 1
