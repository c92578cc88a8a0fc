"""What the store says it has, row by row, in plain SQL: for an oracle, which must not share code with what wrote it."""

import math
import struct
from typing import NamedTuple

from sqlalchemy import Connection, text

from wire.metrics import NAMES

_SNAPSHOTS = text("SELECT * FROM snapshots ORDER BY host_id, incarnation, sequence")
_GAPS = text("SELECT host_id, incarnation, first_sequence, last_sequence, reason FROM gaps")
_EVENTS = text(
    "SELECT host_id, type, subject, severity, state, first_value, peak_value, opened_at, reopened_at, openings, "
    "flapping FROM events ORDER BY id"
)


class StoredSnapshot(NamedTuple):
    """A row of ``snapshots``."""

    host_id: int
    incarnation: int
    sequence: int
    received_at: float
    metrics: dict[str, float | None]
    """The core metrics by name, None for what is missing; and every other column."""


class StoredGap(NamedTuple):
    """A row of ``gaps``."""

    host_id: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    reason: str


class StoredEvent(NamedTuple):
    """A row of ``events``."""

    host_id: int
    type: str
    subject: str
    severity: str
    state: str
    first_value: float | None
    peak_value: float | None
    opened_at: float
    reopened_at: float | None
    openings: int
    flapping: bool


def stored_snapshots(connection: Connection) -> list[StoredSnapshot]:
    """Return all snapshots, of each host in the order of its numbers."""
    found = []
    for row in connection.execute(_SNAPSHOTS).mappings():
        metrics = dict(row)
        host_id, incarnation, sequence, received_at, core = map(
            metrics.pop, ("host_id", "incarnation", "sequence", "received_at", "core")
        )
        values = struct.unpack(f">{len(NAMES)}f", core)
        metrics |= {name: None if math.isnan(value) else value for name, value in zip(NAMES, values, strict=True)}
        found.append(StoredSnapshot(host_id, incarnation, sequence, received_at, metrics))
    return found


def stored_gaps(connection: Connection) -> list[StoredGap]:
    """Return all declared gaps."""
    return [StoredGap(*row) for row in connection.execute(_GAPS)]


def stored_events(connection: Connection) -> list[StoredEvent]:
    """Return all events, oldest first."""
    return [StoredEvent(*row) for row in connection.execute(_EVENTS)]
