"""Mounted filesystems: one entry a device, local ones only.

A network filesystem whose server is gone stalls whoever asks for its size, so none is asked.
"""

import math
import os
import re
import sys
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from collector.readers import MOST_DEVICES, Part
from collector.readers.procfs import read
from wire.snapshot import Filesystem
from wire.text import storable

# Full by nature, or no place where anybody writes.
_IMAGES = frozenset({"squashfs", "iso9660", "erofs", "udf", "cramfs", "romfs"})
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "afpfs", "webdav", "autofs", "9p", "ceph", "afs"})
_PRIVATE_TMPFS = re.compile(r"/(run|dev|sys|proc|var/run)(/|$)")
# What the kernel says of one that it does not write to, or that it stopped after an error.
_STOPPED = frozenset({b"ro", b"emergency_ro", b"shutdown"})
_CHROOT = "chroot"
_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of mountinfo. ``key`` is the same for all mounts of one filesystem; ``whole`` says that the mount
    shows its root and is no bind mount; ``read_only`` is the filesystem's own state, not that of one mount.
    """

    key: str
    mount: str
    device: str
    fstype: str
    whole: bool
    read_only: bool


class Filesystems:
    """The host's local filesystems."""

    def __init__(self, root: str = "") -> None:
        """``root`` is where the host's root is mounted, for a collector in a container; empty for its own."""
        self._root = root
        self._mountinfo = b""
        self._chosen: list[Mount] = []

    def read(self, at: float) -> Part:
        """Return the fullest filesystem, the one with most inodes in use, and each of them."""
        mounts = self._linux() if sys.platform == "linux" else chosen(_elsewhere())
        found = [filesystem for mount in mounts if (filesystem := _measure(mount, self._root))]
        if len(found) > MOST_DEVICES:
            found.sort(key=lambda filesystem: filesystem.used_percent, reverse=True)
        inodes = [one.inodes_percent for one in found if not math.isnan(one.inodes_percent)]
        core = {
            "disk_percent": max((one.used_percent for one in found), default=math.nan),
            "disk_inodes_percent": max(inodes, default=math.nan),
        }
        return Part(core, {"filesystems": tuple(found[:MOST_DEVICES])})

    def _linux(self) -> list[Mount]:
        mountinfo = read("/proc/self/mountinfo")
        if mountinfo != self._mountinfo:
            mounts = parse_mountinfo(mountinfo)
            self._chosen = chosen(with_root(below(self._root, mounts) if self._root else mounts))
            self._mountinfo = mountinfo
        return self._chosen


def parse_mountinfo(text: bytes) -> list[Mount]:
    """Read /proc/self/mountinfo, proc(5)."""
    mounts = []
    for line in text.splitlines():
        left, found, right = line.partition(b" - ")
        if not found:
            continue
        _, _, number, root, mount, _ = left.split(b" ")[:6]
        fstype, source, options = right.split(b" ")[:3]
        device, kind = unescaped(source), fstype.decode("ascii", "replace")
        mounts.append(
            Mount(
                # The subvolumes of btrfs have a number each, and one device.
                key=device if device.startswith("/dev/") else number.decode(),
                mount=unescaped(mount),
                device=device,
                fstype=kind,
                whole=root == b"/",
                read_only=not _STOPPED.isdisjoint(options.split(b",")),
            )
        )
    return mounts


def below(root: str, mounts: Iterable[Mount]) -> list[Mount]:
    """Return the mounts of a host whose root is mounted at ``root``, named as that host names them."""
    return [
        mount._replace(mount=mount.mount.removeprefix(root) or "/")
        for mount in mounts
        if f"{mount.mount}/".startswith(f"{root}/")
    ]


def with_root(mounts: list[Mount]) -> list[Mount]:
    """Return the mounts, and the root folder where it is none of them: in a chroot it is only a part of one."""
    if any(mount.mount == "/" for mount in mounts):
        return mounts
    return [Mount("/", "/", _CHROOT, _CHROOT, True, False), *mounts]


def unescaped(field: bytes) -> str:
    """Return a field of mountinfo or fstab with its octal escapes undone; other bytes as surrogates."""
    return os.fsdecode(_OCTAL.sub(lambda octal: bytes([int(octal[1], 8) & 0xFF]), field))


def chosen(mounts: Iterable[Mount]) -> list[Mount]:
    """Return one mount for each local filesystem that can fill up: the root of it rather than a bind mount."""
    topmost = {mount.mount: mount for mount in mounts}
    best: dict[str, Mount] = {}
    for mount in sorted(topmost.values(), key=lambda mount: (not mount.whole, len(mount.mount), mount.mount)):
        if _is_wanted(mount):
            best.setdefault(mount.key, mount)
    return list(best.values())


def _is_wanted(mount: Mount) -> bool:
    if mount.fstype in _IMAGES or mount.fstype in _NETWORK or mount.fstype.startswith("fuse."):
        return False
    if mount.fstype == "tmpfs":
        return not _PRIVATE_TMPFS.match(mount.mount)
    # A container's root; the other overlays of a host are those of its containers, on a device that is counted.
    if mount.fstype == "overlay":
        return mount.mount == "/"
    return mount.device.startswith("/dev/") or mount.fstype in ("zfs", _CHROOT) or sys.platform != "linux"


def _measure(mount: Mount, root: str) -> Filesystem | None:
    """Return the filesystem with its sizes as df(1) has them: what only root may use is neither used nor free."""
    path = root + mount.mount
    files = files_used = 0
    try:
        if sys.platform == "win32":
            size, used, free, _ = psutil.disk_usage(path)
        else:
            if not os.path.isdir(path):  # noqa: PTH112 - a Path cannot be had cheaper
                return None
            stat = os.statvfs(path)
            size, used = stat.f_blocks * stat.f_frsize, (stat.f_blocks - stat.f_bfree) * stat.f_frsize
            free = stat.f_bavail * stat.f_frsize
            files, files_used = stat.f_files, stat.f_files - stat.f_ffree
    except OSError:
        # Unmounted meanwhile, or not for us to see.
        return None
    if size <= 0 or used + free <= 0:
        return None
    return Filesystem(
        mount=storable(mount.mount),
        device=storable(mount.device),
        fstype=storable(mount.fstype, 64),
        size_bytes=size,
        used_bytes=used,
        used_percent=100 * used / (used + free),
        inodes_percent=100 * files_used / files if files > 0 else math.nan,
        read_only=mount.read_only,
    )


def _elsewhere() -> list[Mount]:
    return [
        Mount(one.device, one.mountpoint, one.device, one.fstype.lower(), True, "ro" in one.opts.split(","))
        for one in psutil.disk_partitions(all=False)
        if one.fstype
    ]
