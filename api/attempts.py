"""Guesses at secrets: who is wrong too often has to wait."""

import hashlib
import threading
from dataclasses import dataclass, field

LIMIT = 10
"""Different wrong secrets that one address may send within the window."""
WINDOW_SECONDS = 60.0
_MAX_ADDRESSES = 1000


@dataclass
class Attempts:
    """The wrong secrets that were sent to this process, by the address they came from.

    The same wrong one counts once, however often it comes: a forgotten program with an old token asks for ever, and
    must not shut its neighbours out.
    """

    _wrong: dict[str, dict[bytes, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def exhausted(self, address: str, now: float) -> bool:
        """Tell whether this address has to wait before any secret of it is looked at."""
        with self._lock:
            times = self._wrong.get(address, {}).values()
            return sum(now - WINDOW_SECONDS < at <= now for at in times) >= LIMIT

    def count(self, address: str, wrong: bytes, now: float) -> None:
        """Count a wrong secret."""
        with self._lock:
            if address not in self._wrong and len(self._wrong) >= _MAX_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
            times = self._wrong.setdefault(address, {})
            for old in [guess for guess, at in times.items() if at <= now - WINDOW_SECONDS]:
                del times[old]
            times[hashlib.sha256(wrong).digest()] = now
