"""Rates from counters: arithmetic only, no clock and no device.

A reading is a set of counters per device at a monotonic time, so a step of the wall clock cannot show. What cannot
be known is missing, never 0 and never a spike: the first reading, a counter that went back (the device was reset,
or a 32-bit counter wrapped, and nobody can tell which), and a device that was not there the reading before.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Counters = tuple[float, ...]


class Reading(NamedTuple):
    """Counters by device, read at ``at`` monotonic seconds; each device has the same counters in the same order."""

    at: float
    counters: Mapping[str, Counters]


def rates(before: Reading | None, now: Reading) -> dict[str, Counters]:
    """Return the rates per second of every device that both readings have; NaN for a counter that went back."""
    if before is None or now.at <= before.at:
        return {}
    elapsed = now.at - before.at
    return {
        device: tuple(
            (new - old) / elapsed if new >= old else math.nan
            for old, new in zip(before.counters[device], counters, strict=True)
        )
        for device, counters in now.counters.items()
        if device in before.counters
    }


def total(devices: Iterable[Counters], column: int) -> float:
    """Return the sum of one column over the devices whose rate is known; NaN when none is."""
    known = [rate for device in devices if not math.isnan(rate := device[column])]
    return math.fsum(known) if known else math.nan


def highest(devices: Iterable[Counters], column: int) -> float:
    """Return the largest value of one column over the devices whose rate is known; NaN when none is."""
    return max((rate for device in devices if not math.isnan(rate := device[column])), default=math.nan)


def shares_percent(before: Counters | None, now: Counters, idle: int) -> Counters | None:
    """Return what part of the elapsed time went to each mode of a CPU, in percent; None when it cannot be known.

    ``idle`` is how many modes, from the last on, count idle time: Linux lets those step back a little
    (the idle and iowait counters of a CPU are not updated together), which is no reset.
    """
    if before is None or len(before) != len(now):
        return None
    busy = len(now) - idle
    if any(new < old for old, new in zip(before[:busy], now[:busy], strict=True)):
        return None
    spent = [max(0.0, new - old) for old, new in zip(before, now, strict=True)]
    elapsed = math.fsum(spent)
    return tuple(100 * part / elapsed for part in spent) if elapsed > 0 else None
