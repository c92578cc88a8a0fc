"""The spool on a disk that is full."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.spool import Spool
from tests.collector.spooled import BOUND, NOW, body, crash, fill, gaps, numbers, records, waiting


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
