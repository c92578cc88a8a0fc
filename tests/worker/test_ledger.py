"""The ledger of a host against its rows: whatever is lost, repeated or out of order on the way, all adds up."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from store.accounts import Account, Gap, of_fleet, of_host, page_of_gaps
from store.engine import reading, writing
from store.ledger import Ledger
from store.records import MAX_GAPS, trim_gaps, write_gaps
from store.schema import dead_letters, gaps, snapshots
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.entry import GAP, seal
from wire.snapshot import Details, decode_gap, encode_gap
from wire.snapshot import Gap as DroppedRun
from worker.inbox import Inbox
from worker.ingest import drain
from worker.ledger import Addition, settle

NewHost = Callable[[], SimulatedHost]
MOST = 2**63 - 1


def run(engine: Engine, inbox: Inbox, now: float = NOW) -> None:
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, {})


def account_of(engine: Engine, host: SimulatedHost) -> tuple[Account, list[Gap]]:
    with reading(engine) as connection:
        account, open_gap = of_host(connection, host.id)
        return account, ([open_gap] if open_gap else []) + page_of_gaps(connection, host.id, 10_000)


def count(engine: Engine, query: Any) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(query) or 0)


@dataclass
class Unsteady:
    """A host whose way to the server is bad: what it has not delivered it sends again, in part, in any order."""

    host: SimulatedHost
    random: random.Random
    waiting: list[tuple[int, bytes, int]] = field(default_factory=list)
    """(sequence, body, kind) of what is not acknowledged."""
    seen: dict[int, int] = field(default_factory=dict)
    """The highest number that reached an inbox, by incarnation."""
    is_heard: bool = True

    def take(self) -> None:
        self.host.sequence += 1
        body = b"\xc1 unreadable" if self.random.random() < 0.1 else self.host.body(NOW)
        self.waiting.append((self.host.sequence, body, 0))

    def drop(self, most: int) -> None:
        """Drop some of the oldest, as a full spool does."""
        dropped, self.waiting = self.waiting[:most], self.waiting[most:]
        if dropped:
            first = self.first_of(dropped[0])
            self.waiting.insert(0, (dropped[-1][0], encode_gap(DroppedRun(first, dropped[-1][0], "full")), GAP))

    def first_of(self, item: tuple[int, bytes, int]) -> int:
        sequence, body, kind = item
        return decode_gap(body).first if kind == GAP else sequence

    def number_anew(self) -> None:
        """Begin a new incarnation, if anything of the present one has arrived: a server keeps one open gap a host."""
        if not self.is_heard:
            return
        self.is_heard = False
        self.host.incarnation += 1
        self.host.sequence = 0
        bodies = [body for _, body, kind in self.waiting if kind != GAP]
        self.waiting = []
        for body in bodies:
            self.host.sequence += 1
            self.waiting.append((self.host.sequence, body, 0))

    def push(self, items: Sequence[tuple[int, bytes, int]]) -> None:
        for sequence, body, kind in items:
            self.host.push(seal(self.host.key, self.host.id, self.host.incarnation, sequence, NOW, body, kind))
            self.seen[self.host.incarnation] = max(self.seen.get(self.host.incarnation, 0), sequence)

    def push_badly(self) -> None:
        some = [item for item in self.waiting if self.random.random() < 0.7]
        some += self.random.sample(some, len(some) // 3)
        if self.random.random() < 0.3:
            self.random.shuffle(some)
        self.push(some)

    def heed(self, ack: bytes | None) -> None:
        incarnation, sequence = keys.parse_ack(ack or b"0:0")
        if incarnation == self.host.incarnation:
            self.is_heard = True
            self.waiting = [item for item in self.waiting if item[0] > sequence]


@pytest.mark.parametrize("seed", range(2))
def test_after_any_run_the_ledger_adds_up_with_the_rows(
    engine: Engine, inbox: Inbox, host: SimulatedHost, seed: int
) -> None:
    unsteady = Unsteady(host, random.Random(seed))
    host.report(NOW)
    unsteady.seen[1] = 1
    run(engine, inbox)
    for step in range(50):
        chance = unsteady.random.random()
        for _ in range(unsteady.random.randrange(5)):
            unsteady.take()
        if chance < 0.1:
            unsteady.drop(unsteady.random.randrange(2))
        elif chance < 0.2:
            unsteady.number_anew()
        unsteady.push_badly()
        run(engine, inbox, NOW + step)
        unsteady.heed(host.client.get(keys.ack(host.id)))
        account, found = account_of(engine, host)
        assert_it_adds_up(engine, host, account, found)
    unsteady.take()
    unsteady.push(unsteady.waiting)
    run(engine, inbox, NOW + 100)
    account, found = account_of(engine, host)
    assert_it_adds_up(engine, host, account, found)
    assert account.outstanding == 0
    assert account.sent == sum(unsteady.seen.values())
    with reading(engine) as connection:
        assert of_fleet(connection) == account


def assert_it_adds_up(engine: Engine, host: SimulatedHost, account: Account, found: Sequence[Gap]) -> None:
    def size(state: str) -> int:
        return sum(gap.last - gap.first + 1 for gap in found if gap.state == state)

    assert account.committed == count(engine, select(func.count()).select_from(snapshots))
    assert account.dead_lettered == count(engine, select(func.count()).select_from(dead_letters))
    assert (account.dropped, account.lost, account.outstanding) == (size("declared"), size("ended"), size("open"))
    assert account.sent == (
        account.committed + account.dead_lettered + account.dropped + account.lost + account.outstanding
    )
    # No number is in two gaps, and none that is there is in any.
    missing = [(gap.incarnation, number) for gap in found for number in range(gap.first, gap.last + 1)]
    with reading(engine) as connection:
        stored = {(one, two) for one, two in connection.execute(select(snapshots.c.incarnation, snapshots.c.sequence))}
    assert len(set(missing)) == len(missing)
    assert not stored & set(missing)


def test_a_gap_is_open_until_what_is_missing_comes(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    host.report(NOW - 50)
    missing, later = host.snapshot(NOW - 40), host.snapshot(NOW - 30)
    host.push(later)
    run(engine, inbox, NOW - 20)
    account, [gap] = account_of(engine, host)
    assert (account.sent, account.committed, account.outstanding, account.discarded) == (3, 1, 2, 1)
    assert (gap.state, gap.first, gap.last) == ("open", 2, 3)
    assert (gap.first_taken_at, gap.last_taken_at) == (NOW - 50, NOW - 20)
    host.push(missing, later)
    run(engine, inbox, NOW - 10)
    account, found = account_of(engine, host)
    assert (account.sent, account.committed, account.outstanding, found) == (3, 3, 0, [])


def test_where_a_host_numbers_anew_its_end_is_shown_with_what_is_known_of_it(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.report(NOW - 50)
    host.snapshot(NOW - 40)
    host.push(host.snapshot(NOW - 30))
    run(engine, inbox, NOW - 25)
    host.incarnation, host.sequence = 2, 0
    host.report(NOW - 20)
    host.incarnation, host.sequence = 3, 0
    host.report(NOW - 10)
    run(engine, inbox)
    account, found = account_of(engine, host)
    assert (account.sent, account.committed, account.lost) == (5, 3, 2)
    assert [(gap.state, gap.incarnation, gap.first, gap.last) for gap in found] == [
        ("ended", 2, 2, 1),
        ("ended", 1, 2, 3),
    ]
    assert [(gap.first_taken_at, gap.last_taken_at) for gap in found] == [(NOW - 20, NOW - 10), (NOW - 50, NOW - 20)]


def test_an_incarnation_of_which_nothing_came_in_its_turn_is_not_forgotten(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.report(NOW)
    host.incarnation, host.sequence = 2, 1
    host.report(NOW + 1)
    run(engine, inbox, NOW + 1)
    assert account_of(engine, host)[0].outstanding == 2
    host.incarnation, host.sequence = 3, 0
    host.report(NOW + 2)
    run(engine, inbox, NOW + 2)
    account, found = account_of(engine, host)
    assert (account.sent, account.committed, account.lost, account.outstanding) == (4, 2, 2, 0)
    assert [(gap.incarnation, gap.first, gap.last) for gap in found] == [(2, 1, 2), (1, 2, 1)]


def test_a_declared_gap_holds_only_what_was_not_there_before(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    host.report(NOW)
    gap = encode_gap(DroppedRun(1, 4, "the spool was full", NOW, NOW + 3))
    host.push(seal(host.key, host.id, 1, 4, NOW, gap, GAP))
    run(engine, inbox)
    account, [found] = account_of(engine, host)
    assert (found.state, found.first, found.last, found.reason) == ("declared", 2, 4, "the spool was full")
    assert (account.sent, account.committed, account.dropped) == (4, 1, 3)


def test_a_declaration_that_cannot_be_read_is_a_gap_all_the_same(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.push(seal(host.key, host.id, 1, 7, NOW, encode_gap(DroppedRun(1, 3, "")), GAP), b"rubbish")
    run(engine, inbox)
    account, [found] = account_of(engine, host)
    assert (account.sent, account.dropped, account.dead_lettered) == (7, 7, 0)
    assert (found.first, found.last, found.reason) == (1, 7, "gap up to 3 under sequence 7")


def test_a_snapshot_whose_details_cannot_be_read_is_stored_and_not_evaluated(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    host.report(NOW, details=b"\xa0", disk_percent=99.0)
    host.report(NOW + 1, Details(hostname="well"))
    run(engine, inbox)
    account, _ = account_of(engine, host)
    assert (account.received, account.committed, account.evaluated, account.dead_lettered) == (2, 2, 1, 0)


def test_the_numbers_of_a_hostile_host_fit_into_their_columns() -> None:
    before = Ledger(earlier_sequences=MOST, dropped=MOST, ahead_incarnation=1, ahead_sequence=MOST)
    addition = Addition(dropped=MOST, ahead={1: MOST})
    settled = settle(before, addition, 2, MOST, NOW)
    assert (settled.earlier_sequences, settled.dropped, settled.lost) == (MOST, MOST, MOST)


def test_a_host_that_counts_as_far_as_numbers_go_stops_no_drain(
    engine: Engine, inbox: Inbox, new_host: NewHost
) -> None:
    hostile, neighbour = new_host(), new_host()
    for incarnation in (1, 2):
        gap = encode_gap(DroppedRun(1, MOST, ""))
        hostile.push(seal(hostile.key, hostile.id, incarnation, MOST, NOW, gap, GAP))
    hostile.incarnation, hostile.sequence = 3, MOST - 1
    hostile.report(NOW)
    neighbour.report(NOW)
    run(engine, inbox)
    assert account_of(engine, neighbour)[0].committed == 1
    assert account_of(engine, hostile)[0].outstanding == MOST
    with reading(engine) as connection:
        assert of_fleet(connection).sent > 2.0**63


def test_only_the_newest_gaps_of_a_host_are_kept(engine: Engine, new_host: NewHost) -> None:
    many, few = new_host(), new_host()

    def row(host: SimulatedHost, number: int) -> dict[str, Any]:
        return {
            "host_id": host.id,
            "incarnation": 1,
            "first_sequence": number,
            "last_sequence": number,
            "reason": "",
            "received_at": NOW + number,
        }

    with writing(engine) as connection:
        write_gaps(connection, [row(many, number) for number in range(1, MAX_GAPS + 4)] + [row(few, 1)])
        assert trim_gaps(connection) == 3
        kept = connection.execute(select(gaps.c.host_id, func.min(gaps.c.first_sequence)).group_by(gaps.c.host_id))
        assert dict(kept.all()) == {many.id: 4, few.id: 1}
