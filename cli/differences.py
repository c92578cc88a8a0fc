"""Which lines of a file differ from those of a script, in bounded time whatever is in the file."""

import difflib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_MOST_COMPARED = 2000
_MOST_SHOWN = 40


class Difference(NamedTuple):
    """How a file differs from a script."""

    lines: int
    """How many; 0 where only the ends of lines differ."""
    shown: list[str]
    """The first of them with their numbers, each after ``-`` where it is the script's, ``+`` where it is the file's."""


def compare(script: str, body: bytes) -> Difference:
    """Return how a file differs from a script. Lines of a binary file are what lies between its line feeds."""
    ours, theirs = _lines(script), _lines(body.decode("utf-8", "replace"))
    first = 0
    while first < min(len(ours), len(theirs)) and ours[first] == theirs[first]:
        first += 1
    last = 0
    while last < min(len(ours), len(theirs)) - first and ours[-1 - last] == theirs[-1 - last]:
        last += 1
    ours, theirs = ours[first : len(ours) - last], theirs[first : len(theirs) - last]
    lines, shown = 0, []
    for our_start, our_end, their_start, their_end in _changes(ours, theirs):
        lines += max(our_end - our_start, their_end - their_start)
        shown += [f"-{first + place + 1}: {ours[place]}" for place in range(our_start, our_end)]
        shown += [f"+{first + place + 1}: {theirs[place]}" for place in range(their_start, their_end)]
    if len(shown) > _MOST_SHOWN:
        shown[_MOST_SHOWN:] = [f"... and {len(shown) - _MOST_SHOWN} more"]
    return Difference(lines, shown)


def _changes(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    if max(len(ours), len(theirs)) > _MOST_COMPARED:
        yield 0, len(ours), 0, len(theirs)
        return
    for kind, *places in difflib.SequenceMatcher(None, ours, theirs).get_opcodes():
        if kind != "equal":
            our_start, our_end, their_start, their_end = places
            yield our_start, our_end, their_start, their_end


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]
