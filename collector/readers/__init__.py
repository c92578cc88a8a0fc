"""The readers of a host, one file a noun. Each takes the monotonic time and returns a Part.

What a platform does not have is left out of a Part, so that it becomes NaN and not 0.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_DEVICES = 64
"""The most devices of one kind in a snapshot's details; the core metrics count all of them."""


class Part(NamedTuple):
    """What one reader adds to a snapshot: core metrics by name, and fields of ``wire.snapshot.Details``."""

    core: Mapping[str, float]
    details: Mapping[str, Any] = {}
