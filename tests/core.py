"""The core metrics of a snapshot as tables hold them: packed for what a test writes, by name for what it reads."""

import math
import struct

from wire.metrics import NAMES


def packed(**metrics: float | None) -> bytes:
    """The column ``core`` of a snapshot with these metrics."""
    assert metrics.keys() <= set(NAMES)
    given = (metrics.get(name) for name in NAMES)
    return struct.pack(f">{len(NAMES)}f", *(math.nan if value is None else value for value in given))


def unpacked(core: bytes) -> dict[str, float | None]:
    """The metrics of a column ``core``, None for missing."""
    values = struct.unpack(f">{len(NAMES)}f", core)
    return {name: None if math.isnan(value) else value for name, value in zip(NAMES, values, strict=True)}
