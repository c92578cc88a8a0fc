"""Child processes of ``up``: started in groups of their own, restarted when they die, ended in order."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from cli.guardian import signal_group
from wire.text import visible

_TICK_SECONDS = 0.1
_STOP_SECONDS = 4.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_DEATHS_UNTIL_LOG_IS_SHOWN = 3
_LOG_LINES_SHOWN = 5
_LOG_BYTES = 5 * 1024 * 1024


@dataclass
class Part:
    """One child: how it is started, and what became of it. Times are those of ``time.monotonic``."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    started_at: float
    deaths_in_a_row: int = 0
    start_again_at: float | None = field(default=None)


class Supervisor:
    """Runs the parts of one ``up``. To be used as a context: at the end of the block no part is left."""

    def __init__(self, say: Callable[[str], None], lock: int) -> None:
        """Report through ``say``; the guardian inherits the descriptor ``lock`` and so holds the data folder."""
        self._say = say
        self._lock = lock
        self._parts: list[Part] = []
        self._pipe = -1

    def __enter__(self) -> "Supervisor":
        self._start_guardian()
        return self

    def __exit__(self, *_: object) -> None:
        # Impatience (a second Ctrl-C) must not leave anything behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for part in reversed(self._parts):
            self._end(part)
        os.close(self._pipe)
        self._guardian.wait()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Start a part, which prints to ``log``; the parts are ended in the opposite order."""
        process = self._spawn(command, environment, log)
        self._parts.append(Part(name, command, environment, log, process, time.monotonic()))
        return process

    def watch(self, each_tick: Callable[[], None]) -> NoReturn:
        """Keep the parts running until an exception (KeyboardInterrupt, as signals raise it) ends this."""
        while True:
            now = time.monotonic()
            for part in self._parts:
                self._look_after(part, now)
                _bound(part.log)
            if self._guardian.poll() is not None:
                os.close(self._pipe)
                self._start_guardian()
            each_tick()
            time.sleep(_TICK_SECONDS)

    def _look_after(self, part: Part, now: float) -> None:
        if part.start_again_at is not None:
            if now >= part.start_again_at:
                part.start_again_at = None
                part.process = self._spawn(part.command, part.environment, part.log)
                part.started_at = now
        elif part.process.poll() is not None:
            self._bury(part)
            part.deaths_in_a_row = 1 if now - part.started_at > _STEADY_SECONDS else part.deaths_in_a_row + 1
            pause = min(_FIRST_PAUSE_SECONDS * 2 ** (part.deaths_in_a_row - 1), _LONGEST_PAUSE_SECONDS)
            part.start_again_at = now + pause
            self._say(f"{part.name} ended ({_how(part.process.returncode)}): starts again in {pause:g} s")
            if part.deaths_in_a_row == _DEATHS_UNTIL_LOG_IS_SHOWN:
                self._say(f"{part.name} keeps ending. The last lines of {part.log}:")
                for line in _last_lines(part.log):
                    self._say(f"  {visible(line)}")

    def _spawn(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        pipe = self._pipe

        def tell_guardian() -> None:
            # By the child itself, before it becomes the part: there is no moment in which nobody knows of it.
            os.write(pipe, b"+%d\n" % os.getpid())

        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                preexec_fn=tell_guardian,
            )

    def _end(self, part: Part) -> None:
        if part.start_again_at is None:
            part.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                part.process.wait(_STOP_SECONDS)
            self._bury(part)

    def _bury(self, part: Part) -> None:
        """End what is left of a part's group: a worker that was killed leaves its children behind."""
        signal_group(part.process.pid, signal.SIGKILL)
        part.process.wait()
        self._tell_guardian(f"-{part.process.pid}")

    def _start_guardian(self) -> None:
        read_end, self._pipe = os.pipe()
        # A successor knows from its first moment what there is to watch.
        for part in self._parts:
            if part.start_again_at is None:
                self._tell_guardian(f"+{part.process.pid}")
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "cli.guardian"], stdin=read_end, pass_fds=[self._lock], process_group=0
        )
        os.close(read_end)

    def _tell_guardian(self, line: str) -> None:
        # Where it was killed, its successor is told afresh.
        with suppress(BrokenPipeError):
            os.write(self._pipe, f"{line}\n".encode())


def _bound(log: Path) -> None:
    """Start a log that has grown too large anew, its text so far kept beside it as ``.1``."""
    if log.stat().st_size > _LOG_BYTES:
        # Copied, not renamed: the part goes on writing to the file that it has open.
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(stream.tell() - 8192, 0))
        return stream.read().decode(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
