"""What takes long to find out, kept for some seconds for all who ask."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """Keeps what was made last. Of many who ask at once one makes it, and the others wait for that."""

    def __init__(self, seconds: float) -> None:
        """Keep it for so long."""
        self._seconds = seconds
        self._kept: tuple[Hashable, float, Made] | None = None
        self._lock = threading.Lock()

    def get(self, key: Hashable, now: float, make: Callable[[], Made]) -> Made:
        """Return what was made lately with the same key, else what ``make`` makes at ``now``, in Unix seconds."""
        with self._lock:
            if self._kept is not None:
                known, made_at, made = self._kept
                # Who waited may have asked a moment before who made it; a clock that was set back is no moment.
                if known == key and abs(now - made_at) < self._seconds:
                    return made
            made = make()
            self._kept = (key, now, made)
            return made
