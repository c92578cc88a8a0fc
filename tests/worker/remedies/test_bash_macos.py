"""The branches for macOS of the fixes for processes: real processes and ps, with stand-ins for what only macOS has."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.remedies.bash import run_fix
from tests.worker.remedies.processes import BURNER, need_mounts, python, start_time, with_files

# ps of macOS tells CPU time in hundredths of a second.
STAND_INS = {
    "uname": "echo Darwin",
    "date": 'case $1 in -j) exec /usr/bin/date -d "$4" "$5" ;; *) exec /usr/bin/date "$@" ;; esac',
    "ps": """
      case "$*" in
        '-A -o pid=,time=')
          cat /proc/[0-9]*/stat 2> /dev/null |
            awk '{ s = ($14 + $15) / 100; printf "%d %d:%05.2f\\n", $1, s / 60, s % 60 }' ;;
        *) exec /usr/bin/ps "$@" ;;
      esac""",
    "sysctl": """
      case "$*" in
        '-n hw.memsize') echo 8589934592 ;;
        '-n vm.swapusage') echo 'total = 2048.00M  used = 1024.00M  free = 1024.00M  (encrypted)' ;;
      esac""",
    "vm_stat": """
      echo 'Mach Virtual Memory Statistics: (page size of 16384 bytes)'
      echo 'Pages free:                               65536.'
      echo 'Pages active:                            262144.'
      echo 'Pages inactive:                          131072.'
      echo 'Pages speculative:                        32768.'
      echo 'Pages wired down:                         16384.'
      echo 'Pages purgeable:                          32768.'""",
}


@pytest.fixture
def macos(tmp_path: Path) -> list[str]:
    """The command that has what it runs take this for a Mac with 8 GiB of memory, half of it available."""
    need_mounts()
    if not Path("/usr/bin/ps").exists():
        pytest.skip("needs ps(1): apt-get install procps")
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    for name, code in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/bash\n{code}\n")
        (folder / name).chmod(0o755)
    return with_files({"/usr/local/sbin": folder})


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    with python(BURNER, "test-burner") as process:
        yield process


def test_a_burner_is_measured_and_found_to_have_a_priority_to_lower(
    tmp_path: Path, macos: list[str], burner: subprocess.Popen[bytes]
) -> None:
    more = {"minimum_cpu_percent": 5, "measure_seconds": 1, "action": "renice"}
    run = run_fix(tmp_path, "cpu_high", "plan", inside=macos, pid=burner.pid, start_time=start_time(burner), **more)
    assert (run.code, run.result["outcome"]) == (0, "planned")
    assert burner.pid in [process["pid"] for process in run.result["before"]["processes"]]
    assert f"Would lower the priority of process {burner.pid} (test-burner) to nice 10" in run.said


def test_a_process_is_known_by_its_start_and_ended(
    tmp_path: Path, macos: list[str], burner: subprocess.Popen[bytes]
) -> None:
    another = run_fix(tmp_path, "process_memory_high", "apply", inside=macos, pid=burner.pid, start_time=1.7e9)
    assert (another.result["outcome"], burner.poll()) == ("nothing", None)
    started = start_time(burner)
    run = run_fix(tmp_path, "process_memory_high", "apply", inside=macos, pid=burner.pid, start_time=started)
    assert (run.code, burner.wait(5)) == (0, -signal.SIGTERM)
    assert run.result["changed"] == [{"pid": burner.pid, "name": "test-burner", "action": "end"}]


def test_memory_and_swap_are_those_of_the_mac(tmp_path: Path, macos: list[str]) -> None:
    run = run_fix(tmp_path, "memory_high", "apply", inside=macos, drop_caches=True)
    assert "Memory is used at 50 % of the machine's 8192 MiB." in run.said
    assert "Swap: total = 2048.00M  used = 1024.00M" in run.said
    assert len(run.result["before"]["processes"]) == 10
    assert (run.code, run.result["message"]) == (3, "caches can be dropped on Linux only")
