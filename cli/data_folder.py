"""The data folder of ``up``: made, checked, and held by one ``up`` at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from cli.errors import CommandFailed

# Longer than the guardian needs to end what a killed `up` left behind.
_WAIT_FOR_LEFTOVERS_SECONDS = 15.0


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Make the folder, readable by its owner alone, and hold it until the block ends; give the lock's descriptor.

    A process that inherits the descriptor goes on holding the folder. Raises CommandFailed where the folder cannot be
    written, or naming the pid of the ``up`` that has it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandFailed(
            f"the data folder {folder} cannot be written ({error.strerror}): choose another with --data-dir"
        ) from None
    try:
        _take(lock, folder)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, folder: Path) -> None:
    deadline = time.monotonic() + _WAIT_FOR_LEFTOVERS_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).strip()
            # The `up` may be dead while its guardian still ends its parts: those hold the folder a moment longer.
            if holder and psutil.pid_exists(int(holder)):
                raise CommandFailed(f"{folder} is in use by `fleetmedic up` with pid {int(holder)}") from None
            if time.monotonic() > deadline:
                raise CommandFailed(f"{folder} is still in use by the remains of another `fleetmedic up`") from None
            time.sleep(0.1)
        else:
            return
