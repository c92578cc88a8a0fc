"""Forks wait while another thread does what a child must have no part in.

A child that is forked meanwhile would inherit a connection, a lock that nobody frees, or an end of a pipe of which that
thread waits for the other end to close.
"""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextmanager
def no_fork() -> Iterator[None]:
    """Let this process fork only after the block. What the block opened must be closed by then."""
    with _lock:
        yield


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a program as ``subprocess.Popen``. Its input and output must be files: a child would keep a pipe open."""
    with no_fork():
        return subprocess.Popen(command, **options)
