"""Where the space of a nearly full filesystem is, and where it grows: the directories that hold most, and grew most.

Each file counts for one directory, the one it lies in, at most four levels below the mount. A thread of low priority
looks, a little at a time; the rest between two surveys is a thousand times the CPU time that one takes.
"""

import contextlib
import heapq
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from collector.readers import Part
from collector.readers.filesystems import parse_mountinfo
from collector.readers.procfs import read
from wire.snapshot import Directory, Filesystem
from wire.text import storable

NEARLY_FULL_PERCENT = 80.0
PERIOD_SECONDS = 300.0
"""Between the starts of two surveys of a filesystem, at the least."""

_MOST_FILESYSTEMS = 4
_MOST_SENT = 8
_DEPTH = 4
_MOST_DIRECTORIES = 4096
_MOST_PENDING = 50_000
_MOST_CPU_SECONDS = 10.0
_MOST_SECONDS = 1800.0
_REST = 1000.0
"""Times the CPU time of a survey: a tenth of a percent of one CPU at the most."""
_EARLIER_SECONDS = 1800.0
_FORGOTTEN_SECONDS = 7200.0
"""After its rest, what was not surveyed again since: it was not full for so long, and is another one by now."""
_SLICE_SECONDS = 0.005
_PAUSE = 19.0
"""Times a slice: the twentieth part of one CPU while it looks, so that it is never in the way of a snapshot."""
_ENTRIES_AT_ONCE = 64
_BLOCK_BYTES = 512


class Survey(NamedTuple):
    """One look at a filesystem, begun ``at`` by the monotonic clock. ``sizes`` are bytes by path, None where it took
    too long.
    """

    at: float
    cpu_seconds: float
    sizes: Mapping[str, int] | None


@dataclass
class _Known:
    """What is known of one filesystem."""

    begun_at: float = -math.inf
    rest_seconds: float = PERIOD_SECONDS
    latest: Survey | None = None
    earlier: Survey | None = None
    shown: tuple[Directory, ...] = ()


class Directories:
    """The directories of the fullest filesystems, once one is nearly full."""

    def __init__(self, root: str = "") -> None:
        """``root`` is where the host's root is mounted, for a collector in a container; empty for its own."""
        self._root = root
        self._known: dict[str, _Known] = {}
        self._survey: _Thread | None = None

    def read(self, at: float, filesystems: Sequence[Filesystem]) -> Part:
        """Return what the last surveys found, and begin another in the background when it is time to."""
        full = [one for one in filesystems if one.used_percent >= NEARLY_FULL_PERCENT]
        if not full or sys.platform == "win32":
            return Part({})
        fullest = heapq.nlargest(_MOST_FILESYSTEMS, full, key=lambda one: one.used_percent)
        self._known = {
            mount: known
            for mount, known in self._known.items()
            if at - known.begun_at <= known.rest_seconds + _FORGOTTEN_SECONDS
        }
        known = {one.mount: self._known.setdefault(one.mount, _Known()) for one in fullest}
        if self._survey is not None and not self._survey.is_alive():
            self._take_in(self._survey)
            self._survey = None
        due = [mount for mount, one in known.items() if at - one.begun_at >= one.rest_seconds]
        if due and self._survey is None:
            mount = min(due, key=lambda mount: known[mount].begun_at)
            known[mount].begun_at = at
            self._survey = _Thread(at, mount, self._root)
            self._survey.start()
        return Part({}, {"directories": tuple(shown for one in known.values() for shown in one.shown)})

    def _take_in(self, thread: "_Thread") -> None:
        known, survey = self._known.get(thread.mount), thread.survey
        if known is None or survey is None:
            return
        known.rest_seconds = max(PERIOD_SECONDS, _REST * survey.cpu_seconds)
        if survey.sizes is None:
            return
        if known.earlier is None or survey.at - known.earlier.at > _EARLIER_SECONDS:
            known.earlier = known.latest
        known.latest = survey
        known.shown = _shown(thread.mount, survey, known.earlier)


class _Thread(threading.Thread):
    """One survey."""

    def __init__(self, at: float, mount: str, root: str) -> None:
        super().__init__(name="directories", daemon=True)
        self.mount = mount
        self.survey: Survey | None = None
        """None until it is done, or where the filesystem cannot be read."""
        self._at = at
        self._root = root

    def run(self) -> None:
        _step_back()
        effort = Effort()
        # Unmounted meanwhile.
        with contextlib.suppress(OSError):
            sizes = sizes_below(self._root, self.mount, _mount_points(), effort)
            self.survey = Survey(self._at, effort.cpu_seconds(), sizes)


class Effort:
    """What a survey has cost its thread so far; in between it pauses."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._cpu_begun = self._slice_begun = time.thread_time()

    def cpu_seconds(self) -> float:
        """Return the CPU time so far."""
        return time.thread_time() - self._cpu_begun

    def pause(self) -> None:
        """Pause where it is time to."""
        now = time.thread_time()
        if now - self._slice_begun >= _SLICE_SECONDS:
            time.sleep(_PAUSE * (now - self._slice_begun))
            self._slice_begun = now

    def is_too_much(self) -> bool:
        """Tell whether it took so long that it is not worth it."""
        return self.cpu_seconds() > _MOST_CPU_SECONDS or time.monotonic() - self._begun > _MOST_SECONDS


def sizes_below(root: str, mount: str, mount_points: Collection[str], effort: Effort) -> dict[str, int] | None:
    """Return the bytes that each directory of a filesystem holds, by its path without ``root``.

    Other filesystems and links are passed over, a file with several names counts for each with its part. None where
    it took too much. Raises OSError where the mount cannot be read.
    """
    top = root + mount
    device = os.stat(top).st_dev  # noqa: PTH116 - a Path cannot be had cheaper
    sizes = {mount: 0}
    # Level by level, so that where they are too many the upper ones are told apart.
    places = deque([(top, 0)])
    while places:
        place, depth = places.popleft()
        name = place[len(root) :]
        pending = [place]
        while pending:
            path = pending.pop()
            # Never within a directory: a filesystem of which one is open cannot be unmounted.
            effort.pause()
            found = _look(path, device, effort)
            if found is None or len(pending) > _MOST_PENDING:
                return None
            size, directories = found
            sizes[name] += size
            for below in directories:
                if below in mount_points:
                    continue
                if path == place and depth < _DEPTH and len(sizes) < _MOST_DIRECTORIES:
                    sizes[below[len(root) :]] = 0
                    places.append((below, depth + 1))
                else:
                    pending.append(below)
    return sizes


def _look(path: str, device: int, effort: Effort) -> tuple[int, list[str]] | None:
    """Return the bytes of what lies in a directory and the paths of those in it, None where it takes too much."""
    size, directories = 0, []
    # Gone meanwhile, or not for us to see.
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for seen, entry in enumerate(entries):
            if not seen % _ENTRIES_AT_ONCE and effort.is_too_much():
                return None
            with contextlib.suppress(OSError):
                stat = entry.stat(follow_symlinks=False)
                if stat.st_dev != device:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    size += _BLOCK_BYTES * stat.st_blocks
                    directories.append(entry.path)
                else:
                    size += _BLOCK_BYTES * stat.st_blocks // max(1, stat.st_nlink)
    return size, directories


def _shown(mount: str, latest: Survey, earlier: Survey | None) -> tuple[Directory, ...]:
    """Return those that grew most, then those that hold most."""
    sizes = latest.sizes or {}
    before = {} if earlier is None or earlier.sizes is None else earlier.sizes
    seconds = math.nan if earlier is None else latest.at - earlier.at
    grown = {path: math.nan if earlier is None else float(size - before.get(path, 0)) for path, size in sizes.items()}
    told = [path for path, size in sizes.items() if size or grown[path] < 0]
    most = heapq.nlargest(_MOST_SENT, told, key=lambda path: (max(0.0, grown[path]), sizes[path]))
    return tuple(Directory(storable(mount), storable(path), float(sizes[path]), grown[path], seconds) for path in most)


def _mount_points() -> frozenset[str]:
    if sys.platform != "linux":
        return frozenset()
    return frozenset(mount.mount for mount in parse_mountinfo(read("/proc/self/mountinfo")))


def _step_back() -> None:
    """Let everybody else go first with CPU and disks; Linux has both for a thread alone."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, 19)
        with contextlib.suppress(OSError, psutil.Error):
            psutil.Process(thread).ionice(psutil.IOPRIO_CLASS_IDLE)
