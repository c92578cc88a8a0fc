"""Disks that fail SMART, and filesystems that turned read-only."""

import os
import sys
from collections.abc import Collection, Iterable

from collector.readers import Part
from collector.readers.filesystems import unescaped
from collector.readers.procfs import read
from collector.readers.smart import Smart
from wire.snapshot import DiskHealth, Filesystem

_FSTAB = "/etc/fstab"


class DiskHealths:
    """Judges the filesystems of a snapshot, and adds what SMART says."""

    def __init__(self, writable: Collection[tuple[str, str]] = (), root: str = "") -> None:
        """``root`` is where the host's root is mounted, for a collector in a container; empty for its own."""
        self._fstab = root + _FSTAB
        self._smart = Smart()
        self.writable = set(writable)
        """The (device, mount) pairs that were seen writable; kept over a restart by whoever made this object."""

    def read(self, at: float, filesystems: Iterable[Filesystem]) -> Part:
        """Return the number of failing disks and filesystems, and those that were judged."""
        filesystems = list(filesystems)
        self.writable.update((one.device, one.mount) for one in filesystems if not one.read_only)
        read_only = [one for one in filesystems if one.read_only]
        fstab = fstab_writable(_text(self._fstab)) if read_only else frozenset[str]()
        verdicts = read_only_verdicts(read_only, fstab, self.writable) + self._smart.read(at)
        failing = sum(verdict.failing for verdict in verdicts)
        return Part({"disks_failing": float(failing)}, {"disk_health": tuple(verdicts)})


def read_only_verdicts(
    filesystems: Iterable[Filesystem], fstab: Collection[str], writable: Collection[tuple[str, str]]
) -> list[DiskHealth]:
    """Return a verdict for each filesystem that is read-only though ``fstab`` (mounts) or its past says otherwise."""
    verdicts = []
    for one in filesystems:
        if one.read_only and one.mount in fstab:
            verdicts.append(DiskHealth(one.mount, True, "read-only, though /etc/fstab says read-write"))
        elif one.read_only and (one.device, one.mount) in writable:
            verdicts.append(DiskHealth(one.mount, True, "became read-only: it was read-write before"))
    return verdicts


def fstab_writable(text: str) -> frozenset[str]:
    """Return the mounts that an fstab(5) wants read-write."""
    mounts = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and not fields[0].startswith("#") and "ro" not in fields[3].split(","):
            mounts.add(unescaped(fields[1].encode("utf-8", "surrogateescape")))
    return frozenset(mounts)


def _text(fstab: str) -> str:
    if sys.platform == "win32":
        return ""
    try:
        return os.fsdecode(read(fstab))
    except OSError:
        return ""
