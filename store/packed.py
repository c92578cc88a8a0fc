"""Metrics packed into one column, a float32 each in the catalogue's order: reading some of them. Pure.

A vector of an older catalogue is shorter: what it does not have is missing. Of a longer one the rest is left.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wire.metrics import INDEX


class Part:
    """The shortest part of a packed vector that has all metrics of some names."""

    def __init__(self, names: Sequence[str]) -> None:
        places = [INDEX[name] for name in names]
        self._first = min(places, default=0)
        self._metrics = max(places, default=-1) + 1 - self._first
        self._places = [place - self._first for place in places]

    def sql(self, column: str) -> str:
        """Return the expression for its bytes, in both databases' SQL; ``column`` is a name of our own."""
        return f"substr({column}, {4 * self._first + 1}, {4 * self._metrics})"

    def read(self, parts: Sequence[bytes]) -> NDArray[np.float32]:
        """Return what such expressions gave as (n, names), NaN for missing."""
        values: NDArray[np.float32] = matrix(parts, ">f4", 1, self._metrics, np.nan)[:, 0]
        return values[:, self._places]


def matrix(packed: Sequence[bytes], kind: str, vectors: int, metrics: int, missing: float) -> NDArray[Any]:
    """Return (n, vectors, metrics) of packed vectors, each cut or filled up to this many metrics.

    ``kind`` is the type of a value, of 4 bytes.
    """
    found = np.full((len(packed), vectors, metrics), missing, np.dtype(kind).newbyteorder("="))
    lengths = list(map(len, packed))
    kinds = set(lengths)
    for length in kinds:
        places = [place for place, one in enumerate(lengths) if one == length] if len(kinds) > 1 else slice(None)
        such = [packed[place] for place in places] if isinstance(places, list) else packed
        held = length // (4 * vectors)
        shared = min(held, metrics)
        block = np.frombuffer(b"".join(such), kind)
        found[places, :, :shared] = block.reshape(len(such), vectors, held)[:, :, :shared]
    return found
