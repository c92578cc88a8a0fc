"""The oracle: what producers say they made, held against the rows of the store, by nothing of the product's own."""

import struct
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Engine, text

from wire.metrics import NAMES

Key = tuple[int, int, int]
"""Host id, incarnation, sequence."""
Ledger = dict[Key, tuple[float, ...]]
"""The core metrics of each snapshot, in the catalogue's order."""

_ROWS = text("SELECT host_id, incarnation, sequence, core FROM snapshots")
_GIVEN_UP = text("SELECT (SELECT count(*) FROM gaps), (SELECT count(*) FROM dead_letters)")


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a store; all empty where nothing is."""

    lost: list[Key]
    doubled: list[Key]
    invented: list[Key]
    altered: list[Key]
    gaps: int
    dead_letters: int


NOTHING_WRONG = Verdict([], [], [], [], 0, 0)


def judge(engine: Engine, ledger: Ledger) -> Verdict:
    """Compare the store with the ledger of all producers."""
    with engine.connect() as connection:
        rows = connection.execute(_ROWS).all()
        gaps, dead_letters = connection.execute(_GIVEN_UP).one()
    times = Counter((row[0], row[1], row[2]) for row in rows)
    stored = {(row[0], row[1], row[2]): struct.unpack(f">{len(NAMES)}f", row[3]) for row in rows}
    return Verdict(
        lost=sorted(ledger.keys() - stored.keys()),
        doubled=sorted(key for key, count in times.items() if count > 1),
        invented=sorted(stored.keys() - ledger.keys()),
        altered=sorted(key for key in stored.keys() & ledger.keys() if stored[key] != ledger[key]),
        gaps=gaps,
        dead_letters=dead_letters,
    )
