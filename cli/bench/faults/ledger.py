"""The ledger of a host: what it made, written outside of the product, before and after the product was given it.

A file of lines, appended and never changed. ``+`` stands before a body is handed to the spool, ``=`` after the spool
took it and with the numbers that it gave. A process that is killed between the two leaves a ``+`` alone: that snapshot
may be in the spool, or not. Each line is one write, so it outlives the process that wrote it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_DIGEST_BYTES = 16


class Place(NamedTuple):
    """Where the spool put a snapshot. The ordinal counts on for ever, whatever incarnation it is pushed under."""

    incarnation: int
    sequence: int
    ordinal: int


@dataclass(frozen=True)
class Made:
    """A snapshot that a host made."""

    number: int
    """The host's own count, from 1."""
    core: bytes
    digest: str
    """Of its body."""
    place: Place | None
    """None where the host was killed before it learnt that."""


def digest(body: bytes) -> str:
    """Return the digest of a body."""
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()


class Ledger:
    """A ledger that is written."""

    def __init__(self, file: Path) -> None:
        """Open it, or begin it; a last line that was cut short is cut off."""
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = file.read_bytes()
        os.ftruncate(self._descriptor, whole.rfind(b"\n") + 1)
        self.last = max((made.number for made in read(file)), default=0)
        """The highest number so far."""

    def begin(self, number: int, core: bytes, body: bytes) -> None:
        """Note a snapshot that is now handed to the spool."""
        self._write(f"+ {number} {core.hex()} {digest(body)}\n")
        self.last = number

    def kept(self, number: int, place: Place) -> None:
        """Note that the spool has it."""
        self._write(f"= {number} {place.incarnation} {place.sequence} {place.ordinal}\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, line: str) -> None:
        os.write(self._descriptor, line.encode())


def read(file: Path) -> list[Made]:
    """Return all that a ledger says, in order."""
    begun: dict[int, tuple[bytes, str]] = {}
    places: dict[int, Place] = {}
    for line in file.read_text().splitlines(keepends=True):
        kind, *words = line.split()
        if not line.endswith("\n"):
            break
        if kind == "+":
            begun[int(words[0])] = bytes.fromhex(words[1]), words[2]
        else:
            places[int(words[0])] = Place(*map(int, words[1:]))
    return [Made(number, core, of_body, places.get(number)) for number, (core, of_body) in sorted(begun.items())]
