"""Small filesystems of a test's own, and ways to have a fix see them where its places are."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

READ_ONLY = 'findmnt -rno TARGET | while IFS= read -r place; do mount -o remount,bind,ro "$(printf %b "$place")"; done'
"""The command of a shell that has the kernel refuse every change to what is mounted."""


@contextmanager
def tmpfs(folder: Path, options: str = "size=16m") -> Iterator[Path]:
    """Mount a tmpfs on a folder until the block ends; skip the test where nothing can be mounted."""
    with _mounted(folder, "-t", "tmpfs", "-o", options, "fleetmedic-test"):
        yield folder


@contextmanager
def ext4(image: Path, folder: Path, mebibytes: int = 32) -> Iterator[Path]:
    """Mount an ext4 in an image file on a folder until the block ends; skip the test where nothing can be mounted."""
    with image.open("wb") as file:
        file.truncate(mebibytes * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    with _mounted(folder, "-o", "loop", str(image)):
        yield folder


@contextmanager
def overlay(folder: Path, options: str) -> Iterator[Path]:
    """Mount layers of folders on a folder until the block ends; skip the test where nothing can be mounted."""
    with _mounted(folder, "-t", "overlay", "-o", options, "fleetmedic-test"):
        yield folder


@contextmanager
def bound(source: Path, folder: Path) -> Iterator[Path]:
    """Show a folder at another place too until the block ends."""
    with _mounted(folder, "--bind", str(source)):
        yield folder


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Have a filesystem be what it is after an error, or when somebody wants that."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def device_of(folder: Path) -> str:
    """Return the device that is mounted on a folder."""
    command = ["findmnt", "--noheadings", "--output=SOURCE", "--mountpoint", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def change_unmounted(image: Path, folder: Path, *requests: str) -> None:
    """Have debugfs change an ext4 that is mounted on a folder, while it is not."""
    subprocess.run(["umount", str(folder)], check=True)
    debugfs = ["debugfs", "-w", "-f", "-", str(image)]
    subprocess.run(debugfs, input="\n".join(requests), text=True, capture_output=True, check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)


def set_times(files: Iterable[Path], at: float) -> list[str]:
    """Return the requests to debugfs that set all times of files, that of their last change too."""
    return [
        f"set_inode_field <{file.lstat().st_ino}> {field} @{at:.0f}"
        for file in files
        for field in ("atime", "mtime", "ctime")
    ]


def seen_as(place: str, folder: Path, *commands: str) -> Sequence[str]:
    """Return the command that has what it runs see a folder at this place, after some commands of the shell there."""
    if not _may_unshare():
        pytest.skip("mounts of one's own cannot be had here, as in a chroot")
    script = "\n".join([f'mount --rbind "$0" {place}', *commands, 'exec "$@"'])
    return ["unshare", "--mount", "bash", "-e", "-c", script, str(folder)]


@cache
def _may_unshare() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that every user may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="fleetmedic-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
