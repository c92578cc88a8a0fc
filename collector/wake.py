"""Waiting that a signal handler or another thread may end.

A socket pair and not threading.Event: its lock is not safe in a signal handler that interrupts its own wait.
"""

import contextlib
import select
import socket


class Wake:
    """A wait with a time-out that ``set`` ends, also one that has not begun yet."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def set(self) -> None:
        """End the present wait, or the next one. Safe in a signal handler."""
        # A full buffer means that a wake-up is already on its way.
        with contextlib.suppress(BlockingIOError):
            self._sender.send(b"x")

    def wait(self, seconds: float) -> None:
        """Wait until ``set`` or the time is over."""
        select.select([self._receiver], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            self._receiver.recv(4096)

    def close(self) -> None:
        """Close the sockets."""
        self._receiver.close()
        self._sender.close()
