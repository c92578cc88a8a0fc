import pytest

from store.positions import Position
from wire.entry import GAP, SNAPSHOT, seal
from wire.keys import shard_of
from wire.metrics import pack_core
from wire.snapshot import SNAPSHOT_VERSION, Gap, Snapshot, encode_gap, encode_snapshot
from worker.admission import Admitted, admit, open_all

KEY = b"k" * 32
HOST = 7
SHARD = shard_of(HOST)


def body(value: float = 1.0) -> bytes:
    return encode_snapshot(Snapshot(SNAPSHOT_VERSION, 1000.0, 30.0, pack_core({"cpu_percent": value})))


def snapshot(incarnation: int, sequence: int, value: float = 1.0) -> bytes:
    return seal(KEY, HOST, incarnation, sequence, 1000.0, body(value))


def gap(incarnation: int, first: int, last: int) -> bytes:
    return seal(KEY, HOST, incarnation, last, 1000.0, encode_gap(Gap(first, last, "spool full")), GAP)


def at(incarnation: int, sequence: int, *, revoked: bool = False, body_crc: int = 0) -> Position:
    return Position(HOST, None if revoked else KEY, incarnation, sequence, body_crc, None, None, None)


def take(position: Position, *entries: bytes, shard: int = SHARD) -> Admitted:
    admitted = Admitted()
    opened = open_all({shard: entries}, admitted)
    admit(opened, {HOST: position}, admitted)
    return admitted


def numbers(admitted: Admitted) -> list[tuple[int, int]]:
    return [(entry.incarnation, entry.sequence) for entry in admitted.entries]


@pytest.mark.parametrize(
    ("position", "entries", "taken", "end", "discarded"),
    [
        # The next in line, and no other.
        (at(5, 10), [snapshot(5, 11)], [(5, 11)], (5, 11), 0),
        (at(5, 10), [snapshot(5, 11), snapshot(5, 12)], [(5, 11), (5, 12)], (5, 12), 0),
        # Sent twice: used once.
        (at(5, 10), [snapshot(5, 10)], [], (5, 10), 0),
        (at(5, 10), [snapshot(5, 11), snapshot(5, 11)], [(5, 11)], (5, 11), 0),
        # One is missing: what follows waits for the resend.
        (at(5, 10), [snapshot(5, 12), snapshot(5, 13)], [], (5, 10), 2),
        (at(5, 10), [snapshot(5, 12), snapshot(5, 11), snapshot(5, 12)], [(5, 11), (5, 12)], (5, 12), 1),
        # A newer incarnation starts at 1; an older one is over.
        (at(5, 10), [snapshot(6, 1), snapshot(6, 2)], [(6, 1), (6, 2)], (6, 2), 0),
        (at(5, 10), [snapshot(6, 2)], [], (5, 10), 1),
        (at(5, 10), [snapshot(4, 11)], [], (5, 10), 0),
        # A host that never spoke.
        (at(0, 0), [snapshot(5, 1)], [(5, 1)], (5, 1), 0),
        # A declared gap bridges what was dropped, if it reaches what is known.
        (at(5, 10), [gap(5, 11, 20), snapshot(5, 21)], [(5, 21)], (5, 21), 0),
        (at(5, 10), [gap(5, 8, 20), snapshot(5, 21)], [(5, 21)], (5, 21), 0),
        (at(5, 10), [gap(5, 13, 20), snapshot(5, 21)], [], (5, 10), 2),
        (at(5, 10), [gap(5, 3, 9)], [], (5, 10), 0),
        (at(5, 10), [gap(6, 1, 4), snapshot(6, 5)], [(6, 5)], (6, 5), 0),
        (at(5, 10), [gap(6, 2, 4)], [], (5, 10), 1),
    ],
)
def test_only_what_is_next_in_line_is_taken(
    position: Position, entries: list[bytes], taken: list[tuple[int, int]], end: tuple[int, int], discarded: int
) -> None:
    admitted = take(position, *entries)
    line = admitted.lines[HOST]
    assert (numbers(admitted), (line.incarnation, line.sequence), line.noted.discarded) == (taken, end, discarded)
    assert admitted.dead_letters == []


@pytest.mark.parametrize(
    ("position", "entry", "reason"),
    [
        (at(5, 10), b"\x97 no entry", "entry: "),
        (at(5, 10), snapshot(5, 11)[:-1], "entry: "),
        (at(5, 10), snapshot(5, 11)[:-1] + b"\0", "wrong signature"),
        (at(5, 10), seal(b"x" * 32, HOST, 5, 11, 1000.0, body()), "wrong signature"),
        (at(5, 10), seal(KEY, HOST + 1, 5, 11, 1000.0, body()), "unknown host"),
        (at(5, 10, revoked=True), snapshot(5, 11), "revoked host"),
    ],
)
def test_what_nobody_vouches_for_is_a_dead_letter_and_moves_no_host(
    position: Position, entry: bytes, reason: str
) -> None:
    admitted = take(position, entry, snapshot(5, 11))
    assert admitted.dead_letters[0].reason.startswith(reason)
    assert numbers(admitted) == ([] if position.key is None else [(5, 11)])


def test_an_entry_in_the_inbox_of_another_shard_is_refused() -> None:
    admitted = take(at(5, 10), snapshot(5, 11), shard=(SHARD + 1) % 64)
    assert [letter.reason for letter in admitted.dead_letters] == ["inbox of another shard"]
    assert admitted.lines == {}


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        (SNAPSHOT, body()[:-3], "snapshot: "),
        (SNAPSHOT, b"\xc1", "snapshot: "),
        (SNAPSHOT, bytes(300_000), "snapshot of 300000 bytes"),
        (SNAPSHOT, encode_snapshot(Snapshot(99, 1.0, 1.0, b"")), "snapshot of version 99"),
        (SNAPSHOT, encode_snapshot(Snapshot(SNAPSHOT_VERSION, 1.0, 1.0, b"abc")), "core vector of 3 bytes"),
        (9, b"", "kind 9"),
        (GAP, b"\xc1", "gap: "),
        (GAP, encode_gap(Gap(9, 8, "")), "gap from 9 to 8"),
    ],
)
def test_an_authentic_entry_that_cannot_be_read_is_a_dead_letter_and_its_host_goes_on(
    kind: int, content: bytes, reason: str
) -> None:
    admitted = take(at(5, 10), seal(KEY, HOST, 5, 11, 1000.0, content, kind), snapshot(5, 12))
    assert [letter.reason[: len(reason)] for letter in admitted.dead_letters] == [reason]
    assert numbers(admitted) == [(5, 12)]


def test_a_number_that_comes_again_with_another_body_is_a_clone() -> None:
    assert take(at(5, 10), snapshot(5, 11, 1.0), snapshot(5, 11, 2.0)).lines[HOST].cloned


def test_a_number_that_comes_again_with_the_same_body_is_a_resend() -> None:
    assert not take(at(5, 10), snapshot(5, 11), snapshot(5, 11)).lines[HOST].cloned


def test_a_number_that_a_gap_gave_up_may_still_be_on_its_way() -> None:
    assert not take(at(5, 10), gap(5, 11, 12), snapshot(5, 12)).lines[HOST].cloned


def test_a_host_that_pushes_rubbish_does_not_fill_the_store_with_it() -> None:
    admitted = take(at(5, 10), *[b"rubbish"] * 500)
    assert (len(admitted.dead_letters), admitted.refused) == (100, 500)
