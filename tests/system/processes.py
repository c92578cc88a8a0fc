"""Processes of the product, started one by one as a service manager would, and what they said."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.system.all_in_one import CLEAN, FLEETMEDIC, wait_until


class Part:
    """A running ``fleetmedic COMMAND``; all of its starts write to one log."""

    def __init__(self, log: Path, *arguments: str, program: Sequence[str] = FLEETMEDIC, **environment: str) -> None:
        self._log = log
        self._command = [*program, *arguments]
        self._environment = CLEAN | environment
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._log.read_text()

    def wait_until_said(self, text: str) -> None:
        wait_until(lambda: text in self.said() or self.process.poll() is not None, self.said)
        assert text in self.said(), f"it ended without saying {text!r}: {self.said()}"

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def freeze(self) -> None:
        """Stop the process and its children where they are."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the process and its children go on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill_children(self) -> None:
        """Kill the children, and wait until they are dead."""
        children = self.children()
        for child in children:
            child.kill()
        wait_until(lambda: all(child.status() == psutil.STATUS_ZOMBIE for child in children))

    def kill(self) -> None:
        """Kill the process and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it in order and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def running(log: Path, *arguments: str, program: Sequence[str] = FLEETMEDIC, **environment: str) -> Iterator[Part]:
    """Run ``fleetmedic`` with these arguments and ``FLEETMEDIC_*`` variables until the block ends.

    ``program`` is one that takes its place.
    """
    part = Part(log, *arguments, program=program, **environment)
    try:
        yield part
    finally:
        part.kill()
