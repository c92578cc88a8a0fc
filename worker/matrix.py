"""The snapshots of a drain as one matrix of hosts × metrics: clocks corrected, impossible values blank. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.snapshots import SnapshotRows
from wire.metrics import CATALOGUE, CORE_BYTES
from worker import silence
from worker.admission import Admitted, Line
from worker.clocks import corrected
from worker.detection.batch import Batch
from worker.detection.limits import HOST_DOWN

_MINIMUM = np.array([metric.minimum for metric in CATALOGUE], np.float32)
_MAXIMUM = np.array([metric.maximum for metric in CATALOGUE], np.float32)
_MISSING = np.full(len(CATALOGUE), np.nan, "<f4").tobytes()
_LONGEST_INTERVAL_SECONDS = 86400.0
_USUAL_INTERVAL_SECONDS = 30.0


@dataclass(frozen=True)
class Rows:
    """The n admitted snapshots by host id, within a host in order."""

    order: list[int]
    """Where each row is in ``Admitted.snapshots``."""
    hosts: list[Line]
    """The lines that have rows."""
    lasts: NDArray[np.int64]
    """The last row of each of them."""
    batch: Batch
    stored: SnapshotRows
    impossible: NDArray[np.int64]
    """(n,) how many values of each row were impossible."""


def rows_of(admitted: Admitted, caught_up_at: Mapping[int, float], now: float) -> Rows:
    """Return the admitted snapshots as columns. ``caught_up_at`` is by shard, times are Unix seconds."""
    # By id: neighbours in the tables and their indexes are then written one after the other.
    hosts = sorted((line for line in admitted.lines.values() if line.rows), key=_host_id)
    order = [row for line in hosts for row in line.rows]
    snapshots = [admitted.snapshots[row] for row in order]
    entries = [admitted.entries[row] for row in order]
    counts = [len(line.rows) for line in hosts]
    core, impossible = _core([snapshot.core for snapshot in snapshots])
    host_ids = np.repeat(np.array([_host_id(line) for line in hosts], np.int64), counts)
    taken_at = corrected(
        np.array([snapshot.taken_at for snapshot in snapshots], np.float64),
        np.array([entry.sent_at for entry in entries], np.float64),
        np.repeat(np.array([caught_up_at[line.shard] for line in hosts], np.float64), counts),
        now,
    )
    interval = np.array([snapshot.interval_seconds for snapshot in snapshots], np.float64)
    interval = np.where((interval > 0) & (interval <= _LONGEST_INTERVAL_SECONDS), interval, _USUAL_INTERVAL_SECONDS)
    batch = Batch(
        host=np.repeat(np.arange(len(hosts), dtype=np.int64), counts),
        taken_at=taken_at,
        core=core,
        previous_cpu_percent=_previous_cpu(hosts, taken_at, interval, counts),
    )
    stored = SnapshotRows(
        host_id=host_ids,
        incarnation=np.array([entry.incarnation for entry in entries], np.int64),
        sequence=np.array([entry.sequence for entry in entries], np.int64),
        received_at=now,
        taken_at=taken_at,
        interval_seconds=interval.astype(np.float32),
        core=core,
    )
    return Rows(order, hosts, np.cumsum(counts, dtype=np.int64) - 1, batch, stored, impossible)


def _host_id(line: Line) -> int:
    return line.position.host_id


def _previous_cpu(
    hosts: Sequence[Line], taken_at: NDArray[np.float64], interval: NDArray[np.float64], counts: Sequence[int]
) -> NDArray[np.float32]:
    """Return what the hosts' CPUs were at the snapshots before, NaN where a host was silent since.

    Many hosts that come back at once are busy, and that is no leap.
    """
    cpu = [line.position.cpu_percent for line in hosts]
    before = [line.position.taken_at for line in hosts]
    firsts = np.cumsum([0, *counts[:-1]]) if counts else np.zeros(0, np.int64)
    silent = taken_at[firsts] - np.array(before, np.float64) > silence.windows_seconds(interval[firsts], HOST_DOWN)
    return np.where(silent, math.nan, np.array(cpu, np.float64)).astype(np.float32)


def _core(vectors: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the core vectors as one matrix, NaN for what is missing or impossible, and how many of each were that.

    A vector of an older or a newer catalogue is read as far as both go.
    """
    whole = b"".join(
        vector if len(vector) == CORE_BYTES else vector[:CORE_BYTES] + _MISSING[len(vector) :] for vector in vectors
    )
    core = np.frombuffer(whole, "<f4").astype(np.float32).reshape(len(vectors), len(CATALOGUE))
    possible = (core >= _MINIMUM) & (core <= _MAXIMUM)
    impossible = np.count_nonzero(~possible & ~np.isnan(core), axis=1)
    core[~possible] = np.nan
    return core, impossible
