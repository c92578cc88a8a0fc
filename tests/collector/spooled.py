"""What goes into a spool under test, and what is found in it."""

from pathlib import Path

from collector.numbering import Item
from collector.spool import Spool
from wire.entry import GAP, SNAPSHOT
from wire.snapshot import Gap, decode_gap

NOW = 1_795_000_000.0
BOUND = 1 << 20
EVERYTHING = 1 << 40


def body(number: int, size: int = 100) -> bytes:
    return b"%0*d" % (size, number)


def fill(spool: Spool, count: int, first: int = 1, size: int = 100) -> None:
    for number in range(first, first + count):
        spool.append(body(number, size), taken_at=float(number))


def waiting(spool: Spool) -> list[Item]:
    return spool.read(0, EVERYTHING, EVERYTHING)


def numbers(items: list[Item]) -> list[int]:
    """The snapshots' own numbers, from their bodies."""
    return [int(item.body) for item in items if item.kind == SNAPSHOT]


def gaps(items: list[Item]) -> list[Gap]:
    return [decode_gap(item.body) for item in items if item.kind == GAP]


def crash(spool: Spool) -> None:
    """Let go of the folder as a killed process does: nothing more is written."""
    for segment in spool._segments:
        segment.close()
    spool._folder_lock.release()


def records(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.records"))
