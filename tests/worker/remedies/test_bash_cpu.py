"""cpu_high, on processes that burn."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.worker.remedies.bash import Run, run_fix
from tests.worker.remedies.processes import (
    BURNER,
    ONCE_BUSY,
    SEALED,
    need_mounts,
    nice_values,
    python,
    start_time,
    state_of,
)

# A burner may have to share this machine with other tests.
BURNING = {"minimum_cpu_percent": 5, "measure_seconds": 1, "grace_seconds": 5}
# Two that are idle, a burner that others need, and one with a name that makes the third process out to be the burner.
CONTAINER = """
python=$0 burner=$1
shift
sleep 60 & sleep 60 &
"$python" -SE -c "$burner" sshd &
"$python" -SE -c "$burner" $'a\\n3 (b' &
"$@"
code=$?
grep -q 'State:.[SR]' /proc/3/status && grep -q 'State:.[SR]' /proc/4/status && exit "$code"
exit 99
"""


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    with python(BURNER, "test-burner") as process:
        yield process


def fix(folder: Path, burner: subprocess.Popen[bytes], mode: str, **more: object) -> Run:
    folder.mkdir(exist_ok=True)
    return run_fix(folder, "cpu_high", mode, **{"pid": burner.pid, "start_time": start_time(burner), **BURNING, **more})


def side_by_side(*fixes: Callable[[], Run]) -> list[Run]:
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda fix: fix(), fixes))


def test_a_burner_is_ended_and_not_there_to_be_ended_again(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    started = start_time(burner)
    run = fix(tmp_path, burner, "apply")
    assert (run.code, run.result["outcome"]) == (0, "done")
    assert run.result["changed"] == [{"pid": burner.pid, "name": "test-burner", "action": "end"}]
    assert burner.wait(5) == -signal.SIGTERM
    (percent,) = [one["cpu_percent"] for one in run.result["before"]["processes"] if one["pid"] == burner.pid]
    assert percent >= 5
    assert run.result["after"].keys() == {"cpu_percent", "low_priority_percent"}
    again = run_fix(tmp_path, "cpu_high", "apply", pid=burner.pid, start_time=started, **BURNING)
    assert (again.code, again.result["outcome"], again.result["changed"]) == (0, "nothing", [])


def test_plans_and_verify_change_nothing(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    need_mounts()
    before = state_of(burner)
    end, renice, verify = side_by_side(
        lambda: fix(tmp_path / "end", burner, "plan", inside=SEALED),
        lambda: fix(tmp_path / "renice", burner, "plan", inside=SEALED, action="renice"),
        lambda: fix(tmp_path / "verify", burner, "verify", inside=SEALED),
    )
    assert state_of(burner) == before
    assert f"Would ask process {burner.pid} (test-burner) to end" in end.said
    assert "Milder: with the action renice" in end.said
    assert f"Would lower the priority of process {burner.pid} (test-burner) to nice 10" in renice.said
    assert [run.result["outcome"] for run in (end, renice, verify)] == ["planned", "planned", "failed"]
    assert f"process {burner.pid} still uses" in verify.result["message"]


def test_the_milder_measure_lowers_the_priority_of_all_threads_and_raises_none(
    tmp_path: Path, burner: subprocess.Popen[bytes]
) -> None:
    assert nice_values(burner) == {5}
    run = fix(tmp_path, burner, "apply", action="renice")
    assert run.result["changed"] == [{"pid": burner.pid, "name": "test-burner", "action": "renice"}]
    assert nice_values(burner) == {10}
    subprocess.run(["renice", "15", "-p", str(burner.pid)], check=True, capture_output=True)
    again, verify = side_by_side(
        lambda: fix(tmp_path / "again", burner, "apply", action="renice"),
        lambda: fix(tmp_path / "verify", burner, "verify", action="renice"),
    )
    assert again.result["outcome"] == "nothing"
    assert "besides what gives way" in verify.result["message"]
    assert nice_values(burner) == {10, 15}
    assert burner.poll() is None


def test_what_was_busy_once_is_left_alone(tmp_path: Path) -> None:
    with python(ONCE_BUSY, "once-busy") as process:
        run = fix(tmp_path, process, "apply")
        assert (run.code, run.result["outcome"]) == (0, "nothing")
        assert process.poll() is None


def test_without_a_pid_the_burner_of_a_container_is_found_among_what_is_to_be_left_alone(tmp_path: Path) -> None:
    inside = [*("unshare", "--pid", "--fork", "--mount-proc"), "bash", "-c", CONTAINER, sys.executable, BURNER]
    if subprocess.run([*inside[:4], "true"], capture_output=True).returncode != 0:
        pytest.skip("pids of one's own cannot be had here, as in a container or without root")
    run = run_fix(tmp_path, "cpu_high", "apply", inside=inside, **BURNING)
    assert "Process 4 (sshd) is left alone: it lets people in." in run.said
    assert (run.code, run.result["changed"]) == (0, [{"pid": 5, "name": r"a\x0a3 (b", "action": "end"}])
    assert {process["pid"] for process in run.result["before"]["processes"]} >= {4, 5}
    assert 3 not in {process["pid"] for process in run.result["before"]["processes"]}
