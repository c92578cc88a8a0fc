"""A program that the bench runs, kills and starts again, as whatever supervises it would."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from cli.errors import CommandFailed
from wire.text import visible

_LOG_LINES_SHOWN = 15


class Program:
    """One program in a process group of its own; all of its starts write to one log."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Name and describe it; ``start`` starts it."""
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self.ended = 0
        """How often it had ended by itself."""

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def children(self) -> list[psutil.Process]:
        """Return its child processes; none where it has ended."""
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Kill it and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def start_again_if_ended(self) -> None:
        """Start it where it has ended by itself."""
        if self.process.poll() is not None:
            self.ended += 1
            self.kill()
            self.start()

    def check_running(self) -> None:
        """Raise CommandFailed with the end of its log where it has ended by itself."""
        code = self.process.poll()
        if code is not None:
            lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
            raise CommandFailed(
                "\n".join(
                    [
                        f"{self.name} ended with exit code {code}. The last lines of its log:",
                        *(f"  {visible(line)}" for line in lines),
                    ]
                )
            )
