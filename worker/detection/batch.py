"""The snapshots of one drain as arrays: what the rules see."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wire.metrics import INDEX


@dataclass(frozen=True)
class Batch:
    """n snapshots of H hosts, sorted by host and within a host in the order they were taken."""

    host: NDArray[np.int64]
    """(n,) the place of the row's host, 0 to H-1."""
    taken_at: NDArray[np.float64]
    """(n,) corrected Unix seconds."""
    core: NDArray[np.float32]
    """(n, metrics of the catalogue); NaN where missing or impossible."""
    previous_cpu_percent: NDArray[np.float32]
    """(H,) of the host's last stored snapshot, NaN where there is none."""

    def metric(self, name: str) -> NDArray[np.float32]:
        """Return one core metric of all rows."""
        return self.core[:, INDEX[name]]
