"""What became of the snapshots of a host, and of the fleet, as numbers; and each gap between them.

Every snapshot that a host takes has a sequence number. Of those that the server knows to have been given::

    sent = committed + dead_lettered + dropped + lost + outstanding

A host that starts a new incarnation numbers anew from 1, and the counts go on.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Double, case, cast, func, select, tuple_

from store.ledger import COUNTS, Ledger, ledgers
from store.schema import gaps, host_ledger, host_state

_AWAITED = "not received yet: later ones came before it, and the host is to send all of them again"


@dataclass(frozen=True)
class Account:
    """Numbers of snapshots, but for the last three: these are entries, which may carry the same snapshot again."""

    sent: float
    """The numbers that are known to have been given."""
    received: float
    """Snapshots that arrived in their turn: committed or dead-lettered."""
    committed: float
    """Snapshots that were stored."""
    evaluated: float
    """Of these, those that all rules could look at."""
    dead_lettered: float
    """Could not be read."""
    dropped: float
    """The host said that it dropped them, as its spool was full or damaged."""
    lost: float
    """Were seen ahead of their turn, of an incarnation that ended before they came again."""
    outstanding: float
    """Were seen ahead of their turn, and are to come again."""
    resent: float
    """Entries of what was there already."""
    discarded: float
    """Entries that came before their turn."""
    throttled: float
    """Entries that were passed over, as the host pushes more than it may."""


class GapPlace(NamedTuple):
    """Where a gap stands in the order of the pages."""

    received_at: float
    incarnation: int
    first: int


@dataclass(frozen=True)
class Gap:
    """A run of numbers that are not there, both ends included, and between which times it lies, in Unix seconds.

    ``open``: they are awaited. ``declared``: the host dropped them. ``ended``: the host numbers anew, and nobody knows
    whether it gave more numbers before; ``last`` is below ``first`` where none was seen.
    """

    state: Literal["open", "declared", "ended"]
    incarnation: int
    first: int
    last: int
    reason: str
    """That of a declared gap is text of the host."""
    first_taken_at: float | None
    last_taken_at: float | None
    received_at: float
    """When the server learnt of it."""

    @property
    def place(self) -> GapPlace:
        """Where it stands in the order of the pages."""
        return GapPlace(self.received_at, self.incarnation, self.first)


def balance(incarnation: int, sequence: int, ledger: Ledger) -> Account:
    """Return the account of a host at this position."""
    if ledger.ahead_incarnation == incarnation:
        return _account(sequence, max(ledger.ahead_sequence - sequence, 0), ledger)
    return _account(sequence, ledger.ahead_sequence if ledger.ahead_incarnation > incarnation else 0, ledger)


def of_host(connection: Connection, host_id: int) -> tuple[Account, Gap | None]:
    """Return a host's account, and the gap that is open, if one is."""
    query = select(host_state.c.incarnation, host_state.c.sequence, host_state.c.taken_at)
    incarnation, sequence, taken_at = connection.execute(query.where(host_state.c.host_id == host_id)).one()
    ledger = ledgers(connection, [host_id]).get(host_id, Ledger())
    account = balance(incarnation, sequence, ledger)
    if not account.outstanding:
        return account, None
    first = sequence + 1 if ledger.ahead_incarnation == incarnation else 1
    gap = Gap(
        "open",
        ledger.ahead_incarnation,
        first,
        ledger.ahead_sequence,
        _AWAITED,
        taken_at,
        ledger.ahead_at,
        ledger.ahead_at,
    )
    return account, gap


def of_fleet(connection: Connection) -> Account:
    """Return the sums over all hosts."""
    query = select(
        _sum(host_state.c.sequence),
        _sum(_outstanding),
        *(_sum(host_ledger.c[name]) for name in COUNTS),
    ).select_from(host_state.outerjoin(host_ledger, host_ledger.c.host_id == host_state.c.host_id))
    sequences, outstanding, *counts = connection.execute(query).one()
    return _account(sequences, outstanding, Ledger(*counts))


def page_of_gaps(connection: Connection, host_id: int, limit: int, after: GapPlace | None = None) -> list[Gap]:
    """Return the gaps of a host that are not open, the newest first, from behind ``after`` on."""
    place = (gaps.c.received_at, gaps.c.incarnation, gaps.c.first_sequence)
    query = select(gaps).where(gaps.c.host_id == host_id).order_by(*(column.desc() for column in place)).limit(limit)
    if after is not None:
        query = query.where(tuple_(*place) < tuple_(*after))
    return [
        Gap(
            "declared" if row.declared else "ended",
            row.incarnation,
            row.first_sequence,
            row.last_sequence,
            row.reason,
            row.first_taken_at,
            row.last_taken_at,
            row.received_at,
        )
        for row in connection.execute(query)
    ]


_outstanding = case(
    (
        host_ledger.c.ahead_incarnation == host_state.c.incarnation,
        case(
            (
                host_ledger.c.ahead_sequence > host_state.c.sequence,
                host_ledger.c.ahead_sequence - host_state.c.sequence,
            ),
            else_=0,
        ),
    ),
    (host_ledger.c.ahead_incarnation > host_state.c.incarnation, host_ledger.c.ahead_sequence),
    else_=0,
)


def _sum(column: ColumnElement[int]) -> ColumnElement[float]:
    # As doubles: a hostile host may have counted as far as a column goes, and what no column holds is an error.
    return func.coalesce(func.sum(cast(column, Double)), 0.0)


def _account(sequences: float, outstanding: float, ledger: Ledger) -> Account:
    passed = ledger.earlier_sequences + sequences
    committed = passed - ledger.dead_lettered - ledger.dropped
    return Account(
        sent=passed + ledger.lost + outstanding,
        received=committed + ledger.dead_lettered,
        committed=committed,
        evaluated=committed - ledger.unevaluated,
        dead_lettered=ledger.dead_lettered,
        dropped=ledger.dropped,
        lost=ledger.lost,
        outstanding=outstanding,
        resent=ledger.resent,
        discarded=ledger.discarded,
        throttled=ledger.throttled,
    )
