"""A disk that can be full: a tmpfs whose size is set to what is used of it. Needs root, and Linux."""

import os
import subprocess
import uuid
from pathlib import Path

_TRIES = 20


class CannotMount(RuntimeError):
    """No disk can be mounted here; the message says why."""


class SmallDisk:
    """A tmpfs on a folder."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Mount it. Raises CannotMount."""
        self.folder = folder
        self._size_bytes = size_bytes
        folder.mkdir()
        self._mount(f"size={size_bytes}")

    def fill(self) -> bool:
        """Leave no room; say whether that is so. What is deleted on it makes room again."""
        for _ in range(_TRIES):
            there = os.statvfs(self.folder)
            # Whoever writes at this moment may make it too small: then it is refused.
            try:
                self._mount(f"remount,size={(there.f_blocks - there.f_bfree) * there.f_frsize}")
            except CannotMount:
                continue
            if self._is_full():
                return True
        return False

    def free(self) -> None:
        """Have room again."""
        self._mount(f"remount,size={self._size_bytes}")

    def unmount(self) -> None:
        """Take it away, whoever still has a file of it open."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)

    def _is_full(self) -> bool:
        probe = self.folder / uuid.uuid4().hex
        try:
            probe.write_bytes(bytes(os.statvfs(self.folder).f_frsize))
        except OSError:
            return True
        finally:
            probe.unlink(missing_ok=True)
        return False

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise CannotMount("there is no program `mount`") from None
        except subprocess.CalledProcessError as error:
            raise CannotMount(error.stderr.strip() or "mount failed") from None
