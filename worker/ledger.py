"""What a drain adds to the ledger of a host: numbers that did not arrive once and in order. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct, field

from store.ledger import Ledger

_MOST = 2**63 - 1
_ENDED = "the host numbers anew: what it had not delivered came under other numbers, or never"


class Ended(NamedTuple):
    """An incarnation that is over, and its last number that was committed."""

    incarnation: int
    sequence: int


class Addition(Struct):
    """What is out of the ordinary about one host's entries in a drain."""

    dead_lettered: int = 0
    dropped: int = 0
    unevaluated: int = 0
    resent: int = 0
    discarded: int = 0
    throttled: int = 0
    ahead: dict[int, int] = field(default_factory=dict)
    """The highest number that came before its turn, by incarnation."""
    ended: list[Ended] = field(default_factory=list)


class Undelivered(NamedTuple):
    """The end of an incarnation that is over, as a row of gaps; times in Unix seconds, None where unknown.

    ``last_sequence`` is below ``first_sequence`` where no number beyond the last one committed was ever seen.
    """

    incarnation: int
    first_sequence: int
    last_sequence: int
    first_taken_at: float | None
    last_taken_at: float | None
    reason: str = _ENDED


def settle(before: Ledger, addition: Addition, incarnation: int, sequence: int, now: float) -> Ledger:
    """Return a host's ledger after a drain that brought its position to (``incarnation``, ``sequence``)."""
    ahead = _ahead(before, addition)
    waiting = sorted(place for place in ahead.items() if place > (incarnation, sequence))
    # What the present incarnation lacks comes first: the next one begins when that is settled.
    ahead_incarnation, ahead_sequence = waiting[0] if waiting else (0, 0)
    is_known = (ahead_incarnation, ahead_sequence) == (before.ahead_incarnation, before.ahead_sequence)
    return Ledger(
        earlier_sequences=_sum(before.earlier_sequences, *(ended.sequence for ended in addition.ended)),
        dead_lettered=_sum(before.dead_lettered, addition.dead_lettered),
        dropped=_sum(before.dropped, addition.dropped),
        lost=_sum(before.lost, *(_known_end(ended, ahead) - ended.sequence for ended in addition.ended)),
        unevaluated=before.unevaluated + addition.unevaluated,
        resent=before.resent + addition.resent,
        discarded=before.discarded + addition.discarded,
        throttled=before.throttled + addition.throttled,
        ahead_incarnation=ahead_incarnation,
        ahead_sequence=ahead_sequence,
        ahead_at=(before.ahead_at if is_known else now) if waiting else None,
        spent_until=before.spent_until,
    )


def undelivered(
    before: Ledger,
    addition: Addition,
    incarnations: Sequence[int],
    taken_at: Sequence[float],
    last_before: float | None,
) -> list[Undelivered]:
    """Return where incarnations ended.

    ``incarnations`` and ``taken_at`` are those of the host's snapshots in this drain, in order; ``last_before`` is when
    its last one before that was taken.
    """
    ahead = _ahead(before, addition)
    found = []
    for ended in addition.ended:
        place = bisect_right(incarnations, ended.incarnation)
        found.append(
            Undelivered(
                ended.incarnation,
                _sum(ended.sequence, 1),
                _known_end(ended, ahead),
                taken_at[place - 1] if place else last_before,
                taken_at[place] if place < len(taken_at) else None,
            )
        )
    return found


def _ahead(before: Ledger, addition: Addition) -> dict[int, int]:
    ahead = dict(addition.ahead)
    known = ahead.get(before.ahead_incarnation, 0)
    ahead[before.ahead_incarnation] = max(before.ahead_sequence, known)
    return ahead


def _known_end(ended: Ended, ahead: dict[int, int]) -> int:
    return max(ended.sequence, ahead.get(ended.incarnation, 0))


def _sum(*numbers: int) -> int:
    """Add numbers, some of which a hostile host chose: what no column holds is cut."""
    return min(sum(numbers), _MOST)
