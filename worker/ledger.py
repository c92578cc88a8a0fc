"""What a drain adds to the ledger of a host: numbers that did not arrive once and in order. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter
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
    over = _over(addition, ahead, incarnation)
    waiting = sorted(place for place in ahead.items() if place > (incarnation, sequence))
    # What the present incarnation lacks comes first: the next one begins when that is settled.
    ahead_incarnation, ahead_sequence = waiting[0] if waiting else (0, 0)
    is_known = (ahead_incarnation, ahead_sequence) == (before.ahead_incarnation, before.ahead_sequence)
    return Ledger(
        earlier_sequences=_sum(before.earlier_sequences, *(ended.sequence for ended in over)),
        dead_lettered=_sum(before.dead_lettered, addition.dead_lettered),
        dropped=_sum(before.dropped, addition.dropped),
        lost=_sum(before.lost, *(_known_end(ended, ahead) - ended.sequence for ended in over)),
        unevaluated=before.unevaluated + addition.unevaluated,
        resent=before.resent + addition.resent,
        discarded=before.discarded + addition.discarded,
        throttled=before.throttled + addition.throttled,
        ahead_incarnation=ahead_incarnation,
        ahead_sequence=ahead_sequence,
        ahead_at=(before.ahead_at if is_known else now) if waiting else 0.0,
        spent_until=before.spent_until,
    )


def undelivered(
    before: Ledger,
    addition: Addition,
    incarnation: int,
    stored: Sequence[tuple[int, float]],
    last_before: float | None,
) -> list[Undelivered]:
    """Return where incarnations before ``incarnation``, the present one, ended.

    ``stored`` are the incarnation and time of the host's snapshots in this drain, in order; ``last_before`` is when its
    last one before that was taken.
    """
    ahead = _ahead(before, addition)
    found = []
    for ended in _over(addition, ahead, incarnation):
        place = bisect_right(stored, ended.incarnation, key=itemgetter(0))
        found.append(
            Undelivered(
                ended.incarnation,
                _sum(ended.sequence, 1),
                _known_end(ended, ahead),
                stored[place - 1][1] if place else last_before,
                stored[place][1] if place < len(stored) else None,
            )
        )
    return found


def _ahead(before: Ledger, addition: Addition) -> dict[int, int]:
    """Return the highest number seen ahead of its turn, by incarnation."""
    ahead = dict(addition.ahead)
    if before.ahead_incarnation:
        ahead[before.ahead_incarnation] = max(before.ahead_sequence, ahead.get(before.ahead_incarnation, 0))
    return ahead


def _over(addition: Addition, ahead: Mapping[int, int], incarnation: int) -> list[Ended]:
    """Return the incarnations that are over, with those that were seen but of which nothing was committed."""
    known = {ended.incarnation for ended in addition.ended}
    skipped = [Ended(other, 0) for other in ahead if other < incarnation and other not in known]
    return addition.ended + skipped


def _known_end(ended: Ended, ahead: Mapping[int, int]) -> int:
    return max(ended.sequence, ahead.get(ended.incarnation, 0))


def _sum(*numbers: int) -> int:
    """Add numbers, some of which a hostile host chose: what no column holds is cut."""
    return min(sum(numbers), _MOST)
