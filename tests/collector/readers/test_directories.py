"""Surveys of real directories, by the real thread."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.readers import directories
from collector.readers.directories import PERIOD_SECONDS, Directories, Effort, sizes_below
from wire.snapshot import Directory, Filesystem

MEBIBYTE = 1024 * 1024

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no survey on Windows")


def filesystem(mount: Path, used_percent: float = 90.0) -> Filesystem:
    return Filesystem(str(mount), "/dev/sda", "ext4", 100e9, used_percent * 1e9, used_percent)


def fill(file: Path, mebibytes: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as appended:
        appended.write(os.urandom(mebibytes * MEBIBYTE))


def survey(reader: Directories, at: float, *filesystems: Filesystem) -> dict[str, Directory]:
    """Have a survey begin and end, and return what is then sent, by path."""
    reader.read(at, filesystems)
    assert reader._survey is not None
    reader._survey.join(60)
    found = reader.read(at + 1, filesystems).details["directories"]
    return {one.path: one for one in found}


def below(top: Path) -> dict[str, int]:
    sizes = sizes_below("", str(top), directories._mount_points(), Effort())
    assert sizes is not None
    return sizes


def test_what_grew_most_comes_first_with_how_much_and_since_when(tmp_path: Path) -> None:
    reader = Directories()
    fill(tmp_path / "big" / "archive", 8)
    fill(tmp_path / "logs" / "app" / "log", 1)
    first = survey(reader, 0.0, filesystem(tmp_path))
    assert next(iter(first)) == str(tmp_path / "big")
    assert first[str(tmp_path / "big")].bytes == pytest.approx(8 * MEBIBYTE, rel=0.1)
    assert all(math.isnan(one.growth_bytes) and math.isnan(one.seconds) for one in first.values())
    fill(tmp_path / "logs" / "app" / "log", 2)
    (tmp_path / "big" / "archive").unlink()
    second = survey(reader, PERIOD_SECONDS, filesystem(tmp_path))
    grown = next(iter(second.values()))
    assert (grown.mount, grown.path, grown.seconds) == (str(tmp_path), str(tmp_path / "logs" / "app"), PERIOD_SECONDS)
    assert grown.bytes == pytest.approx(3 * MEBIBYTE, rel=0.1)
    assert grown.growth_bytes == pytest.approx(2 * MEBIBYTE, rel=0.1)
    assert second[str(tmp_path / "big")].growth_bytes == pytest.approx(-8 * MEBIBYTE, rel=0.1)


def test_only_a_filesystem_that_is_nearly_full_is_looked_at(tmp_path: Path) -> None:
    reader = Directories()
    assert reader.read(0.0, [filesystem(tmp_path, 79.9)]).details == {}
    assert reader._survey is None
    survey(reader, 0.0, filesystem(tmp_path, 80.0))
    assert reader.read(9.0, [filesystem(tmp_path, 79.9)]).details == {}


def test_it_rests_between_surveys_a_thousand_times_as_long_as_one_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Directories()
    survey(reader, 0.0, filesystem(tmp_path))
    reader.read(PERIOD_SECONDS - 1, [filesystem(tmp_path)])
    assert reader._survey is None
    monkeypatch.setattr(Effort, "cpu_seconds", lambda self: 2.0)
    survey(reader, PERIOD_SECONDS, filesystem(tmp_path))
    reader.read(PERIOD_SECONDS + 1999, [filesystem(tmp_path)])
    assert reader._survey is None
    survey(reader, PERIOD_SECONDS + 2000, filesystem(tmp_path))


def test_what_is_not_so_full_for_a_moment_keeps_its_rest_and_for_long_is_forgotten(tmp_path: Path) -> None:
    fill(tmp_path / "file", 1)
    reader, other = Directories(), filesystem(tmp_path / "other")
    survey(reader, 0.0, filesystem(tmp_path))
    reader.read(9.0, [filesystem(tmp_path, 79.9)])
    found = reader.read(10.0, [filesystem(tmp_path)]).details["directories"]
    assert ([one.path for one in found], reader._survey) == ([str(tmp_path)], None)
    survey(reader, 20.0, other)
    reader.read(30.0, [filesystem(tmp_path), other])
    assert reader._survey is None
    assert reader.read(9000.0, [filesystem(tmp_path)]).details["directories"] == ()


def test_the_survey_of_too_large_a_filesystem_is_given_up_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "file", 1)
    monkeypatch.setattr(directories, "_MOST_CPU_SECONDS", 0.0)
    assert survey(Directories(), 0.0, filesystem(tmp_path)) == {}


def test_a_mount_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert survey(Directories(), 0.0, filesystem(tmp_path / "gone")) == {}


def test_links_lead_nowhere_and_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    elsewhere, top = tmp_path / "elsewhere", tmp_path / "top"
    fill(elsewhere / "file", 4)
    fill(top / "a" / "file", 2)
    (top / "b").mkdir()
    (top / "b" / "file").hardlink_to(top / "a" / "file")
    (top / "to a directory").symlink_to(elsewhere)
    (top / "to a file").symlink_to(elsewhere / "file")
    sizes = below(top)
    assert sizes.keys() == {str(top), str(top / "a"), str(top / "b")}
    assert sum(sizes.values()) == pytest.approx(2 * MEBIBYTE, rel=0.1)


def test_what_lies_deep_counts_for_the_directory_four_levels_down(tmp_path: Path) -> None:
    fill(tmp_path / "1" / "2" / "3" / "4" / "5" / "6" / "file", 1)
    sizes = below(tmp_path)
    assert set(sizes) == {str(tmp_path.joinpath(*"1234"[:depth])) for depth in range(5)}
    assert sizes[str(tmp_path / "1" / "2" / "3" / "4")] > MEBIBYTE


def test_where_directories_are_too_many_the_upper_ones_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directories, "_MOST_DIRECTORIES", 4)
    for name in "abc":
        fill(tmp_path / name / "deeper" / "file", 1)
    sizes = below(tmp_path)
    assert sizes.keys() == {str(tmp_path), *(str(tmp_path / name) for name in "abc")}
    assert all(sizes[str(tmp_path / name)] > MEBIBYTE for name in "abc")


def test_hostile_names_become_valid_text(tmp_path: Path) -> None:
    hostile = os.fsdecode(b"\xff\x1b[31m evil\n")
    fill(tmp_path / hostile / "file", 1)
    found = survey(Directories(), 0.0, filesystem(tmp_path))
    assert any("evil\n" in path.encode().decode() for path in found)


@pytest.fixture
def other_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs on ``tmpfs`` and a bind mount on ``bound``, of the same filesystem as the folder that both are in."""
    fill(tmp_path / "shared" / "file", 2)
    mounts = {tmp_path / "tmpfs": ["-t", "tmpfs", "tmpfs"], tmp_path / "bound": ["--bind", str(tmp_path / "shared")]}
    for place, what in mounts.items():
        place.mkdir()
        if subprocess.run(["mount", *what, place], capture_output=True, check=False).returncode:
            pytest.skip("needs root and mount(8)")
    fill(tmp_path / "tmpfs" / "file", 2)
    yield tmp_path
    for place in mounts:
        # Collectors of other tests may be looking at it.
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_other_mounts_are_passed_over_also_those_of_the_same_filesystem(other_filesystem: Path) -> None:
    sizes = below(other_filesystem)
    assert sizes.keys() == {str(other_filesystem), str(other_filesystem / "shared")}


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has priorities of its own on Linux only")
def test_only_the_thread_that_surveys_steps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def note(*_: object) -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))

    monkeypatch.setattr(directories, "sizes_below", note)
    survey(Directories(), 0.0, filesystem(tmp_path))
    assert seen == [19]
    assert os.getpriority(os.PRIO_PROCESS, os.getpid()) < 19


def test_paths_are_as_the_host_names_them(tmp_path: Path) -> None:
    fill(tmp_path / "host" / "var" / "log" / "file", 1)
    sizes = sizes_below(str(tmp_path / "host"), "/var", (), Effort())
    assert sizes
    assert set(sizes) == {"/var", "/var/log"}
