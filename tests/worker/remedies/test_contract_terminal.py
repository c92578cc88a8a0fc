"""What every fix in bash does on a terminal, and when it is interrupted: shown on the one that ends a process."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.worker.remedies.bash import render_fix, sleeping

CTRL_C = "\x03"
QUESTION = "Do this? [y/N] "
DEAF = "trap '' TERM"


class Terminal:
    """A script on a terminal of its own, and what it said there."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self.said = ""

    def wait_for(self, text: str) -> None:
        """Read until the script says this."""
        while text not in self.said:
            said = self._read()
            assert said, f"it ended without saying {text!r}: {self.said}"

    def type(self, keys: str) -> None:
        """Type on the terminal."""
        os.write(self._screen, keys.encode())

    def kill_step(self, mode: str) -> None:
        """Kill the script that the one on the terminal started in this mode."""
        started = psutil.Process(self._process.pid).children(recursive=True)
        next(one for one in started if one.cmdline()[-1] == mode).kill()

    def end(self) -> int:
        """Read until the script ends, and return its exit code."""
        while self._read():
            pass
        return self._process.wait(30)

    def results(self) -> list[dict[str, Any]]:
        """The results in JSON, in their order."""
        return [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]

    def _read(self) -> str:
        try:
            said = os.read(self._screen, 65536).decode()
        except OSError:
            return ""  # Nobody has the terminal open any more.
        self.said += said
        return said


@contextmanager
def on_a_terminal(script: Path) -> Iterator[Terminal]:
    """Run a script without an argument on a terminal until the block ends."""
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "bash", str(script)], stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def outcomes(terminal: Terminal) -> list[tuple[str, str]]:
    return [(result["mode"], result["outcome"]) for result in terminal.results()]


def test_it_shows_the_plan_asks_applies_and_verifies(tmp_path: Path) -> None:
    with sleeping(tmp_path, "unwanted") as unwanted:
        with on_a_terminal(render_fix(tmp_path, "process_memory_high", pid=unwanted.pid)) as terminal:
            terminal.wait_for(QUESTION)
            assert outcomes(terminal) == [("plan", "planned")]
            assert unwanted.poll() is None
            terminal.type("y\n")
            # Its own parent has to bury it before it is gone.
            assert unwanted.wait(30) == -signal.SIGTERM
            assert terminal.end() == 0
        assert [mode for mode, _ in outcomes(terminal)] == ["plan", "apply", "verify"]
        assert terminal.results()[1]["changed"] != []


@pytest.mark.parametrize(("keys", "code"), [("\n", 0), ("n\n", 0), ("yess\n", 0), ("\x04", 0), (CTRL_C, 1)])
def test_anything_but_a_yes_changes_nothing_and_says_so(tmp_path: Path, keys: str, code: int) -> None:
    with sleeping(tmp_path, "spared") as spared:
        with on_a_terminal(render_fix(tmp_path, "process_memory_high", pid=spared.pid)) as terminal:
            terminal.wait_for(QUESTION)
            terminal.type(keys)
            assert terminal.end() == code
        assert terminal.results()[-1]["exit_code"] == code
        assert [mode for mode, _ in outcomes(terminal)] == ["plan", ""]
        assert spared.poll() is None


def test_it_does_not_ask_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    with on_a_terminal(render_fix(tmp_path, "process_memory_high", pid=4_194_304)) as terminal:
        assert terminal.end() == 0
    assert QUESTION not in terminal.said
    assert outcomes(terminal) == [("plan", "nothing")]


def test_it_does_not_ask_when_the_plan_is_refused(tmp_path: Path) -> None:
    with on_a_terminal(render_fix(tmp_path, "process_memory_high", pid=os.getpid())) as terminal:
        assert terminal.end() == 3
    assert outcomes(terminal) == [("plan", "refused")]


def test_a_step_that_is_interrupted_says_so_and_no_other_follows(tmp_path: Path) -> None:
    with sleeping(tmp_path, "deaf", code=DEAF) as deaf:
        with on_a_terminal(render_fix(tmp_path, "process_memory_high", pid=deaf.pid, grace_seconds=300)) as terminal:
            terminal.wait_for(QUESTION)
            terminal.type("y\n")
            terminal.wait_for("asking process")
            terminal.type(CTRL_C)
            assert terminal.end() == 1
        assert outcomes(terminal) == [("plan", "planned"), ("apply", "failed")]
        assert terminal.results()[-1]["message"].startswith("interrupted")
        assert deaf.poll() is None


def test_a_step_that_is_killed_is_told_of(tmp_path: Path) -> None:
    with sleeping(tmp_path, "deaf", code=DEAF) as deaf:
        with on_a_terminal(render_fix(tmp_path, "process_memory_high", pid=deaf.pid, grace_seconds=300)) as terminal:
            terminal.wait_for(QUESTION)
            terminal.type("y\n")
            terminal.wait_for("asking process")
            terminal.kill_step("apply")
            assert terminal.end() == 1
        assert outcomes(terminal) == [("plan", "planned"), ("", "failed")]
        assert deaf.poll() is None


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_interrupted_it_ends_with_its_result(tmp_path: Path, sent: signal.Signals) -> None:
    with sleeping(tmp_path, "deaf", code=DEAF) as deaf:
        script = render_fix(tmp_path, "process_memory_high", pid=deaf.pid, grace_seconds=300)
        # A shell cannot hear what is ignored when it starts, as under nohup.
        heard = ["env", f"--default-signal={sent.value}"]
        process = subprocess.Popen([*heard, "bash", script, "apply"], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while "to end" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(sent)
        result = json.loads(process.communicate(timeout=30)[0].splitlines()[-1])
        assert (process.returncode, result["exit_code"], result["outcome"]) == (1, 1, "failed")
        assert result["message"].startswith("interrupted")
        assert deaf.poll() is None
