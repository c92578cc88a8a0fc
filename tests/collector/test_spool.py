"""The spool: order, acknowledgement, overflow, and how the server stands to it."""

import os
from pathlib import Path

import pytest

from collector.lock import InUse
from collector.spool import Spool, Standing
from tests.collector.spooled import BOUND, EVERYTHING, NOW, body, crash, fill, gaps, numbers, records, waiting
from wire.entry import GAP


def test_what_is_appended_is_read_in_order_and_numbered_from_one(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    assert [spool.append(body(n), 0.0) for n in (1, 2, 3)] == [1, 2, 3]
    items = waiting(spool)
    assert [(item.sequence, item.incarnation) for item in items] == [(n, int(NOW * 1000)) for n in (1, 2, 3)]
    assert numbers(items) == [1, 2, 3]


def test_what_is_acknowledged_is_gone_and_the_rest_stays(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 5)
    assert spool.acknowledge(spool.incarnation, 3) is Standing.CURRENT
    assert numbers(waiting(spool)) == [4, 5]


def test_reading_goes_on_after_what_was_read(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 5)
    first = spool.read(0, 2, EVERYTHING)
    assert numbers(spool.read(first[-1].ordinal, EVERYTHING, EVERYTHING)) == [3, 4, 5]


def test_reading_stays_within_its_bytes_but_always_gives_one(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 5)
    assert numbers(spool.read(0, EVERYTHING, 250)) == [1, 2]
    assert numbers(spool.read(0, EVERYTHING, 1)) == [1]


def test_an_orderly_restart_goes_on_where_it_was(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 5)
    spool.acknowledge(spool.incarnation, 2)
    spool.append(body(6), 0.0)
    spool.close()
    again = Spool(folder, BOUND, NOW + 60)
    assert numbers(waiting(again)) == [3, 4, 5, 6]
    assert (again.incarnation, again.append(body(7), 0.0)) == (int(NOW * 1000), 7)


def test_disk_use_stays_small_while_everything_is_acknowledged(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    for number in range(1, 2001):
        spool.append(body(number), 0.0)
        spool.acknowledge(spool.incarnation, number)
    assert sum(path.stat().st_size for path in records(folder)) <= BOUND / 32


def test_a_second_collector_is_told_who_has_the_folder(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    with pytest.raises(InUse, match=f"pid {os.getpid()}"):
        Spool(folder, BOUND, NOW)
    spool.close()
    Spool(folder, BOUND, NOW).close()


def test_overflow_drops_the_oldest_and_declares_them(folder: Path) -> None:
    spool = Spool(folder, 20_000, NOW)
    fill(spool, 500)
    items = waiting(spool)
    (gap,) = gaps(items)
    assert spool.size <= 20_000
    assert (gap.first, gap.first_taken_at, gap.reason) == (1, 1.0, "the spool was full")
    assert gap.last_taken_at == gap.last
    assert numbers(items) == list(range(gap.last + 1, 501))
    assert (items[0].kind, items[0].sequence) == (GAP, gap.last)


def test_a_gap_is_kept_until_it_is_acknowledged(folder: Path) -> None:
    spool = Spool(folder, 20_000, NOW)
    fill(spool, 500)
    (gap,) = gaps(waiting(spool))
    spool.close()
    again = Spool(folder, 20_000, NOW)
    assert gaps(waiting(again)) == [gap]
    again.acknowledge(again.incarnation, gap.last)
    assert gaps(waiting(again)) == []
    assert numbers(waiting(again))[0] == gap.last + 1


def test_a_new_incarnation_renumbers_what_is_unacknowledged_and_survives_a_crash(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 5)
    spool.acknowledge(spool.incarnation, 2)
    spool.start_incarnation(2_000_000_000_000)
    spool.append(body(6), 0.0)
    expected = [(2_000_000_000_000, sequence, sequence + 2) for sequence in (1, 2, 3, 4)]
    assert [(item.incarnation, item.sequence, int(item.body)) for item in waiting(spool)] == expected
    crash(spool)
    again = Spool(folder, BOUND, NOW)
    assert [(item.incarnation, item.sequence, int(item.body)) for item in waiting(again)] == expected


@pytest.mark.parametrize(
    ("incarnation", "sequence", "standing"),
    [
        (0, 0, Standing.BEHIND),  # the server knows nothing of this host any more
        (int(NOW * 1000), 2, Standing.BEHIND),  # its database came back from a backup
        (int(NOW * 1000), 3, Standing.CURRENT),
        (int(NOW * 1000), 5, Standing.CURRENT),
        (int(NOW * 1000), 6, Standing.AHEAD),  # another machine has our key, and our past
        (int(NOW * 1000) + 1, 1, Standing.AHEAD),  # another machine has our key
    ],
)
def test_how_the_server_stands_to_the_spool(folder: Path, incarnation: int, sequence: int, standing: Standing) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 5)
    spool.acknowledge(int(NOW * 1000), 3)
    assert spool.acknowledge(incarnation, sequence) is standing


def test_a_lost_history_is_sent_again_as_far_as_it_is_here_and_the_rest_is_a_gap(folder: Path) -> None:
    spool = Spool(folder, 64_000, NOW)
    fill(spool, 50)
    spool.acknowledge(spool.incarnation, 45)
    spool.rewind(spool.incarnation, 10, "the server lost it")
    items = waiting(spool)
    (gap,) = gaps(items)
    assert (gap.first, gap.reason) == (11, "the server lost it")
    assert numbers(items) == list(range(gap.last + 1, 51))
