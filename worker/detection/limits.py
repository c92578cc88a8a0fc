"""When the rules open an event: the design's table of defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Severity = Literal["low", "medium", "high", "critical"]


@dataclass(frozen=True)
class Limit:
    """One rule's limit, in percent or for what is counted in things. To resolve, it must be clear for as long."""

    value: float
    """A breach is strictly above it."""
    opens_after_seconds: float
    minimum_snapshots: int
    clears_after_seconds: float | None = None
    """For so long it must be clear to resolve; None for as long as it took to open."""
    clear_margin: float = 0.0
    """So far below the limit it must fall to be clear."""
    rise: float = 0.0
    """cpu_spike: a breach is also strictly more than this above the snapshot before."""
    hold_seconds: float = 0.0
    """For so long it stays open at least, whatever is read."""
    reopens_within_seconds: float = 600.0
    """After it resolved: a breach that begins by then re-opens it, instead of another event."""
    enabled: bool = True
    """Otherwise nothing is ever in breach, and what is open resolves."""
    severity: Severity | None = None
    """Of every breach; None leaves it to the rule."""


class Gate(NamedTuple):
    """From which values of a core metric on a row is in breach, or has to be looked at: one for all rows, or by row."""

    value: float | NDArray[np.float32]
    """Strictly above it; infinite where nothing is."""
    rise: float | NDArray[np.float32]
    """As ``Limit.rise``."""


Limits = Mapping[str, Limit]
"""By event type; every rule's type is there."""

DEFAULTS: Limits = MappingProxyType(
    {
        "cpu_high": Limit(85.0, opens_after_seconds=30.0, minimum_snapshots=2, clear_margin=5.0),
        "cpu_spike": Limit(
            50.0, opens_after_seconds=0.0, minimum_snapshots=1, clear_margin=5.0, rise=20.0, hold_seconds=60.0
        ),
        "memory_high": Limit(90.0, opens_after_seconds=30.0, minimum_snapshots=2, clear_margin=5.0),
        "disk_full": Limit(85.0, opens_after_seconds=0.0, minimum_snapshots=2, clear_margin=5.0),
        "process_memory_high": Limit(25.0, opens_after_seconds=30.0, minimum_snapshots=2, clear_margin=5.0),
        "service_down": Limit(0.0, opens_after_seconds=0.0, minimum_snapshots=2),
        # Hours until it is full: a breach is below them, and it is clear beyond the margin.
        "disk_forecast": Limit(24.0, opens_after_seconds=600.0, minimum_snapshots=2, clear_margin=-6.0),
        # A score, see detection/deviation/score.py.
        "deviation": Limit(1.0, opens_after_seconds=0.0, minimum_snapshots=1, clears_after_seconds=7200.0),
        "disk_health": Limit(0.0, opens_after_seconds=0.0, minimum_snapshots=1),
    }
)

HOST_DOWN = Limit(3.0, opens_after_seconds=30.0, minimum_snapshots=0)
"""Of the rule that sees no snapshot (``worker.silence``): intervals of silence, and how long it is at least."""
