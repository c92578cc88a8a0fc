"""The spool: conservation of what it is given, against crashes, damage, full disks and lost histories."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector.lock import InUse
from collector.numbering import Item
from collector.spool import Spool, Standing
from wire.entry import GAP, SNAPSHOT
from wire.snapshot import Gap, decode_gap

NOW = 1_795_000_000.0
BOUND = 1 << 20
EVERYTHING = 1 << 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


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


# Overflow and gaps


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


# Crashes and damage


def test_kill_9_loses_nothing_that_was_appended(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from collector.spool import Spool\n"
        f"spool = Spool(Path(sys.argv[1]), {BOUND}, {NOW})\n"
        "for number in range(1, 10**9): print(spool.append(b'%0100d' % number, 0.0), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE) as process:
        assert process.stdout
        appended = [int(process.stdout.readline()) for _ in range(500)]
        process.send_signal(signal.SIGKILL)
        appended += [int(line) for line in process.stdout.read().splitlines()]
    again = Spool(folder, BOUND, NOW + 60)
    items = waiting(again)
    assert again.incarnation == int(NOW * 1000)
    assert numbers(items)[: len(appended)] == appended == [item.sequence for item in items][: len(appended)]


def test_a_tail_cut_at_any_byte_is_dropped_and_its_numbers_are_never_used_again(folder: Path, tmp_path: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    crash(spool)
    (file,) = records(folder)
    whole = file.read_bytes()
    two = len(whole) // 3 * 2
    for length in range(two + 1, len(whole)):
        copy = tmp_path / f"cut-{length}"
        shutil.copytree(folder, copy)
        (copy / file.name).write_bytes(whole[:length])
        again = Spool(copy, BOUND, NOW + 60)
        again.append(body(4), 0.0)
        old = waiting(again)
        assert numbers(old) == [1, 2]
        again.acknowledge(old[-1].incarnation, 2)
        (new,) = waiting(again)
        assert (new.incarnation, new.sequence, int(new.body)) == (int(NOW * 1000) + 60_000, 1, 4)
        again.close()


def test_a_flipped_bit_in_the_middle_loses_one_file_s_rest_and_declares_it(folder: Path) -> None:
    spool = Spool(folder, 64_000, NOW)
    fill(spool, 50)
    crash(spool)
    files = records(folder)
    damaged = bytearray(files[2].read_bytes())
    damaged[10] ^= 4
    files[2].write_bytes(damaged)
    lost = list(range(int(files[2].stem), int(files[3].stem)))
    again = Spool(folder, 64_000, NOW)
    items = waiting(again)
    assert numbers(items) == [number for number in range(1, 51) if number not in lost]
    (gap,) = gaps(items)
    assert (gap.first, gap.last) == (lost[0], lost[-1])


def test_after_a_power_loss_numbers_that_may_be_forgotten_are_not_used_again(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    crash(spool)
    (folder / "intact").write_text("another boot")
    again = Spool(folder, BOUND, NOW + 60)
    assert again.append(body(4), 0.0) == 1
    assert again.incarnation == int(NOW * 1000) + 60_000


def test_the_next_incarnation_waits_until_the_one_before_is_acknowledged(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    old = spool.incarnation
    crash(spool)
    (folder / "intact").unlink()
    again = Spool(folder, BOUND, NOW + 60)
    fill(again, 2, first=4)
    assert numbers(waiting(again)) == [1, 2, 3]
    # The server knows more of the old incarnation than survived here.
    assert again.acknowledge(old, 9) is Standing.CURRENT
    assert numbers(waiting(again)) == [4, 5]
    # Until the new one's first is committed, Redis still has the old acknowledgement.
    assert again.acknowledge(old, 9) is Standing.CURRENT


def test_a_spool_without_its_numbers_starts_a_new_incarnation_with_what_is_there(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    spool.close()
    (folder / "numbering").write_bytes(b"\xff")
    again = Spool(folder, BOUND, NOW + 60)
    assert [(item.sequence, int(item.body)) for item in waiting(again)] == [(1, 1), (2, 2), (3, 3)]
    assert again.incarnation == int(NOW * 1000) + 60_000


# Full disks


class FullDisk:
    """A disk that has no room: writes of records fail as they do there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._write = os.write

    def fill(self) -> None:
        def short(descriptor: int, data: bytes) -> int:
            return self._write(descriptor, data[: len(data) // 2])

        self._monkeypatch.setattr("collector.segment.os.write", short)

    def free(self) -> None:
        self._monkeypatch.setattr("collector.segment.os.write", self._write)


def test_a_full_disk_harms_nothing_stored_and_collecting_goes_on_in_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk(monkeypatch)
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    disk.fill()
    fill(spool, 3, first=4)
    assert numbers(waiting(spool)) == [1, 2, 3, 4, 5, 6]
    assert [record.message for record in caplog.records if "in memory" in record.message] == [
        "the spool cannot be written, snapshots are kept in memory for now: "
        f"[Errno 28] No space left on device: '{records(folder)[0]}'"
    ]
    disk.free()
    spool.append(body(7), 0.0)
    crash(spool)
    again = Spool(folder, BOUND, NOW + 60)
    assert numbers(waiting(again)) == [1, 2, 3, 4, 5, 6, 7]
    assert again.incarnation == int(NOW * 1000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 64 KiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs root and mount(8)")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_disk_that_is_really_full_and_then_is_not(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool", BOUND, NOW)
    fill(spool, 200, size=1000)
    assert numbers(waiting(spool)) == list(range(1, 201))
    assert spool.size > 64 * 1024
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    fill(spool, 1, first=201)
    crash(spool)
    again = Spool(small_disk / "spool", BOUND, NOW + 60)
    assert numbers(waiting(again)) == list(range(1, 202))
    assert again.incarnation == int(NOW * 1000)
    again.close()


def test_memory_in_place_of_a_full_disk_is_bounded_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(folder, 20_000, NOW)
    FullDisk(monkeypatch).fill()
    fill(spool, 500)
    items = waiting(spool)
    (gap,) = gaps(items)
    assert spool.size <= 20_000
    assert numbers(items) == list(range(gap.last + 1, 501))


def test_a_crash_with_a_full_disk_makes_numbers_unsafe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch)
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    disk.fill()
    fill(spool, 3, first=4)
    crash(spool)
    disk.free()
    again = Spool(folder, BOUND, NOW + 60)
    assert numbers(waiting(again)) == [1, 2, 3]
    again.append(body(7), 0.0)
    assert again.incarnation == int(NOW * 1000) + 60_000


# Positions of the server


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


# Against a model


class SpoolAgainstAList(RuleBasedStateMachine):
    """Whatever is done, every appended body is acknowledged, waiting in order, or in a declared gap."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ["PYTEST_TMP"]) / os.urandom(8).hex()
        self.bound = 12_000
        self.spool = Spool(self.folder, self.bound, NOW)
        self.appended = 0
        self.acknowledged = 0
        self.base = 0

    @rule(count=st.integers(1, 30), size=st.integers(10, 400))
    def append(self, count: int, size: int) -> None:
        for _ in range(count):
            self.appended += 1
            assert self.spool.append(body(self.appended, size), float(self.appended)) == self.appended - self.base

    @precondition(lambda self: self.appended > self.acknowledged)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        items = waiting(self.spool)
        item = data.draw(st.sampled_from(items))
        assert self.spool.acknowledge(item.incarnation, item.sequence) is Standing.CURRENT
        self.acknowledged = self.base + item.sequence

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.folder, self.bound, NOW)

    @rule()
    def crash(self) -> None:
        crash(self.spool)
        self.spool = Spool(self.folder, self.bound, NOW)
        items = waiting(self.spool)
        if self.acknowledged > self.base and items and items[0].sequence <= self.acknowledged - self.base:
            # The crash may make it forget an acknowledgement; Redis has it.
            self.spool.acknowledge(items[0].incarnation, self.acknowledged - self.base)

    @rule()
    def start_incarnation(self) -> None:
        self.spool.start_incarnation(self.spool.incarnation + 1)
        self.base = self.acknowledged

    @invariant()
    def everything_is_accounted_for(self) -> None:
        place = self.acknowledged
        for item in waiting(self.spool):
            assert item.sequence == item.ordinal - self.base
            if item.kind == SNAPSHOT:
                assert int(item.body) == place + 1
                place += 1
            else:
                gap = decode_gap(item.body)
                assert gap.first <= place + 1 - self.base <= gap.last
                place = self.base + gap.last
        assert place == self.appended
        assert self.spool.size <= self.bound + 500

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)


@pytest.fixture(autouse=True)
def _tmp_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))


TestSpoolAgainstAList = SpoolAgainstAList.TestCase
TestSpoolAgainstAList.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
