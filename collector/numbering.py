"""How the records of a spool are numbered on the wire: pure, and small enough to be written whole at every change.

Records have an ordinal that is counted on for ever. An *epoch* maps ordinals to the wire's numbers: from its base
on, ordinal ``base + n`` is sequence n of its incarnation. So a new incarnation renumbers what is unacknowledged
by one small write, and a number is never given to two bodies. A *hole* is a run of ordinals that were dropped.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from wire.entry import GAP, SNAPSHOT
from wire.snapshot import Gap, encode_gap


class Epoch(NamedTuple):
    """Sequence n of ``incarnation`` is the record of ordinal ``base + n``."""

    incarnation: int
    base: int


class Hole(NamedTuple):
    """Ordinals that were dropped, both ends included, with the times of their snapshots (NaN: unknown)."""

    first: int
    last: int
    reason: str
    first_taken_at: float = math.nan
    last_taken_at: float = math.nan


class Item(NamedTuple):
    """One thing to push: a snapshot, or a gap whose sequence is its last one. ``ordinal`` is where it ends."""

    ordinal: int
    incarnation: int
    sequence: int
    kind: int
    body: bytes


class Numbering(msgspec.Struct, array_like=True):
    """The epochs (oldest first, at least one), the holes that are not acknowledged, and up to where all is."""

    epochs: list[Epoch]
    holes: list[Hole]
    acknowledged: int

    def epoch_of(self, ordinal: int) -> Epoch:
        """Return the epoch that an ordinal belongs to."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.base < ordinal), self.epochs[0])

    def end_of(self, epoch: Epoch, last: int) -> int:
        """Return the last ordinal of an epoch, where ``last`` is the last one of all."""
        return min([last, *(other.base for other in self.epochs if other.base > epoch.base)])

    def ordinal_of(self, incarnation: int, sequence: int, last: int) -> int | None:
        """Return the ordinal of a position that the server names; None when it was never given here.

        A position of an incarnation that is over and forgotten is the beginning of the oldest one here.
        """
        newest = self.epochs[-1]
        if incarnation > newest.incarnation:
            return None
        for epoch in self.epochs:
            if epoch.incarnation == incarnation:
                ordinal, end = epoch.base + max(0, sequence), self.end_of(epoch, last)
                # Of an older incarnation the server may well know more: its tail was lost here.
                return None if ordinal > end and epoch is newest else min(ordinal, end)
        return self.epochs[0].base

    def forget(self) -> bool:
        """Drop the epochs and holes that are acknowledged altogether; say whether there were any."""
        before = len(self.holes) + len(self.epochs)
        self.holes = [hole for hole in self.holes if hole.last > self.acknowledged]
        while len(self.epochs) > 1 and self.epochs[1].base <= self.acknowledged:
            del self.epochs[0]
        return len(self.holes) + len(self.epochs) < before

    def hole_at(self, ordinal: int) -> Hole | None:
        """Return the hole that an ordinal fell into."""
        return next((hole for hole in self.holes if hole.first <= ordinal <= hole.last), None)

    def add_hole(self, hole: Hole) -> None:
        """Note a hole, joined to the one before it where they touch and mean the same."""
        for place, other in enumerate(self.holes):
            touches = other.last + 1 == hole.first and other.reason == hole.reason
            if touches and self.epoch_of(other.last) == self.epoch_of(hole.first):
                self.holes[place] = other._replace(last=hole.last, last_taken_at=hole.last_taken_at)
                return
        self.holes.append(hole)

    def find_holes(self, there: Iterable[tuple[int, int]], last: int, reason: str) -> None:
        """Note a hole for every unacknowledged ordinal up to ``last`` that is in no run ``there`` and no hole yet."""
        runs = [*there, *((hole.first, hole.last) for hole in self.holes), (last + 1, last + 1)]
        place = self.acknowledged + 1
        for first, end in sorted(runs):
            if first > place:
                self._add_split(Hole(place, first - 1, reason))
            place = max(place, end + 1)

    def _add_split(self, hole: Hole) -> None:
        """Note a hole in parts that each belong to one epoch."""
        for base in [epoch.base for epoch in self.epochs]:
            if hole.first <= base < hole.last:
                self.holes.append(hole._replace(last=base))
                hole = hole._replace(first=base + 1)
        self.holes.append(hole)

    def snapshot(self, ordinal: int, body: bytes) -> Item:
        """Return a snapshot as it is pushed."""
        epoch = self.epoch_of(ordinal)
        return Item(ordinal, epoch.incarnation, ordinal - epoch.base, SNAPSHOT, body)

    def gap(self, hole: Hole) -> Item:
        """Return a hole as it is declared to the server."""
        epoch = self.epoch_of(hole.last)
        first, last = max(1, hole.first - epoch.base), hole.last - epoch.base
        body = encode_gap(Gap(first, last, hole.reason, hole.first_taken_at, hole.last_taken_at))
        return Item(hole.last, epoch.incarnation, last, GAP, body)
