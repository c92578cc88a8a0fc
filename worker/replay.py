"""Readings of the past through a rule and the life of events again. Pure.

All readings are judged at once; of each host only those are then gone through one by one that can change anything:
within a run of the same verdict those up to where the event has opened or resolved, and the last.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wire.metrics import NAMES
from worker.detection.batch import Batch
from worker.detection.finding import Finding, verdict_of
from worker.detection.host_limits import BatchLimits
from worker.detection.limits import Limit
from worker.detection.rule import Rule
from worker.events import Track, advance

_MISSING, _CLEAR, _HOLDS, _BREACH = range(4)


class Opening(NamedTuple):
    """An event that the readings open. Times are Unix seconds."""

    host: int
    """Its place."""
    opened_at: float
    resolved_at: float | None
    """None where it is open at the end."""


@dataclass(frozen=True)
class Past:
    """n readings of one metric, sorted by host and within a host in the order they were taken."""

    host: NDArray[np.int64]
    """(n,) the place of the reading's host."""
    taken_at: NDArray[np.float64]
    value: NDArray[np.float32]


def replay(rule: Rule, past: Past, limits: BatchLimits) -> list[Opening]:
    """Return what these readings open under these limits, by host and time, beginning with nothing open."""
    if not len(past.host):
        return []
    verdicts = _verdicts(rule, past, limits)
    starts = np.flatnonzero((np.diff(verdicts, prepend=-1) != 0) | (np.diff(past.host, prepend=-1) != 0))
    ends = np.append(starts[1:], len(verdicts))
    hosts = past.host[starts]
    troubled = np.isin(hosts, np.unique(hosts[verdicts[starts] == _BREACH]))
    openings: list[Opening] = []
    replayed: _Host | None = None
    for host, verdict, start, end in zip(
        hosts[troubled].tolist(),
        verdicts[starts][troubled].tolist(),
        starts[troubled].tolist(),
        ends[troubled].tolist(),
        strict=True,
    ):
        if replayed is None or replayed.host != host:
            openings += replayed.ended() if replayed else ()
            replayed = _Host(rule, past, host, limits.of_host(host).of(rule.type))
        replayed.run(verdict, start, end)
    return openings + (replayed.ended() if replayed else [])


def _verdicts(rule: Rule, past: Past, limits: BatchLimits) -> NDArray[np.int8]:
    """Return (n,) verdicts, as ``verdict_of`` gives them."""
    places = int(past.host.max()) + 1
    # The rule asks for its one metric: as good as a matrix that has this in every column.
    core = np.broadcast_to(past.value[:, None], (len(past.value), len(NAMES)))
    batch = Batch(past.host, past.taken_at, core, np.full(places, np.nan, np.float32))
    breach = rule.breaches(batch, limits.gate(rule.type, past.host))
    of_hosts = [limits.of_host(place).of(rule.type) for place in range(places)]
    clear_below = np.array([limit.value - limit.clear_margin for limit in of_hosts])[past.host]
    present = (past.value >= 0) & (past.value <= 100)
    verdicts = np.where(past.value.astype(np.float64) < clear_below, _CLEAR, _HOLDS)
    return np.where(present, np.where(breach, _BREACH, verdicts), _MISSING).astype(np.int8)


class _Host:
    """One host's event over its runs of readings with the same verdict."""

    def __init__(self, rule: Rule, past: Past, host: int, limit: Limit) -> None:
        self.host = host
        self._rule = rule
        self._past = past
        self._limit = limit
        self._track: Track | None = None
        self._resolved_at: dict[float, float | None] = {}
        """By when the event opened; None while it is open."""

    def run(self, verdict: int, start: int, end: int) -> None:
        """Go through the readings from ``start`` to before ``end``."""
        if verdict == _MISSING:
            return
        row = start
        while row < end and (verdict == _BREACH or self._track is not None):
            self._advance(row, verdict == _BREACH)
            settled = verdict == _HOLDS or (verdict == _BREACH and self._track and self._track.state == "open")
            row = max(row + 1, end - 1) if settled else row + 1

    def ended(self) -> list[Opening]:
        """Return what opened."""
        return [Opening(self.host, *times) for times in self._resolved_at.items()]

    def _advance(self, row: int, in_breach: bool) -> None:
        value = float(self._past.value[row])
        # How severe it is opens and resolves nothing.
        finding = Finding("", verdict_of(value, in_breach, self._limit), value, "low")
        step = advance(self._rule.type, self._track, finding, self._limit, float(self._past.taken_at[row]))
        self._track = step.track
        if step.track is None or step.change is None:
            return
        self._resolved_at[step.track.opened_at] = step.track.last_at if step.change == "resolved" else None
