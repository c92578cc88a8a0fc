"""Requests at a steady pace, and how long they took."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def at_pace(ask: Callable[[float], None], rate: int, seconds: float, clients: int) -> None:
    """Call ``ask`` at this rate for so long, whether or not the calls before have ended, and wait for all of them.

    It is told when it was due, by the monotonic clock, and runs in one of so many threads as there are ``clients``.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(ask, due)


def percentile(values: Sequence[float], percent: int, digits: int = 1) -> float | None:
    """Return the value that so many percent do not exceed (nearest rank), rounded; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], digits)
