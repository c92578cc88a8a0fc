"""Forks wait while a thread is in the database: a child must inherit no connection, and no lock that nobody frees."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_in_database = threading.Lock()
os.register_at_fork(
    before=_in_database.acquire, after_in_parent=_in_database.release, after_in_child=_in_database.release
)


@contextmanager
def no_fork() -> Iterator[None]:
    """Let this process fork only after the block. What the block opened must be closed by then."""
    with _in_database:
        yield
