import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

SUPERVISED = textwrap.dedent(
    """
    import os, signal, sys, tempfile
    from pathlib import Path
    from cli.supervisor import Supervisor

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    log = Path(sys.argv[1]) / "part.log"
    with tempfile.TemporaryFile() as lock:
        with Supervisor(lambda text: print(text, flush=True), lock.fileno()) as supervisor:
            try:
                supervisor.start("part", ["sh", "-c", sys.argv[2]], os.environ, log)
                print("started", flush=True)
                supervisor.watch(lambda: None)
            except KeyboardInterrupt:
                pass
    """
)
# A part with a child of its own, as a worker has.
FAMILY = "sleep 300 & echo $! > child; echo $$ > part; wait"


class Run:
    """A supervisor with one part, in a process of its own."""

    def __init__(self, folder: Path, part: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISED, str(folder), part], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        self.said = ""

    def pid(self, name: str) -> int:
        """Return the pid that the part wrote to this file last."""
        wait_until(lambda: (self.folder / name).exists() and (self.folder / name).read_text().strip() != "")
        return int((self.folder / name).read_text())

    def hear(self, text: str) -> None:
        """Read what it says up to this text."""
        assert self.process.stdout is not None
        while text not in self.said:
            line = self.process.stdout.readline()
            assert line, f"ended after saying: {self.said}"
            self.said += line

    def guardians(self) -> list[int]:
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in children if not is_gone(child.pid) and "cli.guardian" in child.cmdline()]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Run]]:
    """Start a supervisor with a part that runs this shell command."""
    runs: list[Run] = []

    def start(part: str) -> Run:
        runs.append(Run(tmp_path, part))
        runs[-1].hear("started")
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.communicate()


def test_a_signal_ends_the_part_and_its_children(start: Callable[[str], Run]) -> None:
    run = start(FAMILY)
    pids = [run.pid("part"), run.pid("child"), *run.guardians()]
    run.process.terminate()
    assert run.process.wait(20) == 0
    assert [pid for pid in pids if not is_gone(pid)] == []


def test_a_part_that_does_not_want_to_end_is_ended(start: Callable[[str], Run]) -> None:
    run = start("trap '' TERM; echo $$ > part; while :; do sleep 300; done")
    part = run.pid("part")
    run.process.terminate()
    assert run.process.wait(20) == 0
    assert is_gone(part)


def test_nothing_outlives_a_killed_supervisor(start: Callable[[str], Run]) -> None:
    run = start(FAMILY)
    pids = [run.pid("part"), run.pid("child"), *run.guardians()]
    run.process.kill()
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_nothing_outlives_a_killed_supervisor_whose_guardian_was_killed_before(start: Callable[[str], Run]) -> None:
    run = start(FAMILY)
    pids = [run.pid("part"), run.pid("child")]
    (first,) = run.guardians()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: first not in run.guardians() and run.guardians() != [])
    run.process.kill()
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_a_part_that_dies_starts_again_and_takes_its_children_with_it(start: Callable[[str], Run]) -> None:
    run = start(FAMILY)
    part, child = run.pid("part"), run.pid("child")
    os.kill(part, signal.SIGKILL)
    run.hear("part ended (killed by SIGKILL): starts again in 0.5 s")
    wait_until(lambda: run.pid("part") != part)
    assert is_gone(child)


def test_a_part_that_keeps_dying_is_given_time_and_its_log_is_shown(start: Callable[[str], Run]) -> None:
    run = start(r"printf 'no \033[31mluck\n'; exit 3")
    run.hear("part ended (exit code 3): starts again in 0.5 s")
    run.hear("part ended (exit code 3): starts again in 1 s")
    run.hear("part ended (exit code 3): starts again in 2 s")
    run.hear(r"  no \x1b[31mluck")


def test_a_log_that_grows_too_large_is_started_anew(start: Callable[[str], Run]) -> None:
    run = start("head -c 6000000 /dev/zero; sleep 300")
    wait_until(lambda: (run.folder / "part.log.1").exists() and (run.folder / "part.log").stat().st_size < 6000000)
    assert (run.folder / "part.log.1").stat().st_size > 5 * 1024 * 1024
