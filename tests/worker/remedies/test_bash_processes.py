"""The fixes that end processes, on real ones."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.system.all_in_one import wait_until
from tests.system.burner import burning
from tests.worker.remedies.bash import run_fix, sleeping

# A burner may have to share this machine with other tests.
BURNING = {"minimum_cpu_percent": 5, "measure_seconds": 1, "grace_seconds": 1}
DEAF = "trap '' TERM"
HOSTILE_NAME = 'a\n"\\\u202e$(x)'


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    with burning("test-burner") as (process,):
        yield process


def start_time(process: subprocess.Popen[bytes]) -> float:
    return psutil.Process(process.pid).create_time()


def test_the_plan_names_the_burner_and_changes_nothing(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    run = run_fix(tmp_path, "cpu_high", "plan", pid=burner.pid, start_time=start_time(burner), **BURNING)
    assert run.result["outcome"] == "planned"
    assert f"Would ask process {burner.pid} (test-burner) to end" in run.said
    assert burner.poll() is None


def test_without_a_pid_the_busiest_are_found(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    run = run_fix(tmp_path, "cpu_high", "plan", **BURNING)
    assert burner.pid in [process["pid"] for process in run.result["before"]["processes"]]


def test_apply_ends_the_burner_and_a_second_one_finds_nothing(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    started = start_time(burner)
    run = run_fix(tmp_path, "cpu_high", "apply", pid=burner.pid, start_time=started, **BURNING)
    assert (run.code, run.result["outcome"]) == (0, "done")
    assert run.result["changed"] == [{"pid": burner.pid, "name": "test-burner", "action": "end"}]
    assert burner.wait(5) == -15
    again = run_fix(tmp_path, "cpu_high", "apply", pid=burner.pid, start_time=started, **BURNING)
    assert (again.code, again.result["outcome"]) == (0, "nothing")


def test_the_milder_measure_lowers_its_priority(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    psutil.Process(burner.pid).nice(0)
    run = run_fix(tmp_path, "cpu_high", "apply", pid=burner.pid, action="renice", **BURNING)
    assert run.result["outcome"] == "done"
    assert psutil.Process(burner.pid).nice() == 10
    assert burner.poll() is None


def test_verify_fails_while_the_burner_burns(tmp_path: Path, burner: subprocess.Popen[bytes]) -> None:
    run = run_fix(tmp_path, "cpu_high", "verify", pid=burner.pid, start_time=start_time(burner), **BURNING)
    assert (run.code, run.result["outcome"]) == (1, "failed")


def test_a_process_that_is_not_busy_is_nothing_to_do(tmp_path: Path) -> None:
    with sleeping(tmp_path, "idle") as idle:
        run = run_fix(tmp_path, "cpu_high", "apply", pid=idle.pid, **BURNING)
        assert (run.code, run.result["outcome"]) == (0, "nothing")
        assert idle.poll() is None


def test_a_process_that_does_not_listen_is_killed_by_force_only(tmp_path: Path) -> None:
    with sleeping(tmp_path, "deaf", code=DEAF) as deaf:
        wait_until(lambda: ignores_term(deaf))
        run = run_fix(tmp_path, "process_memory_high", "apply", pid=deaf.pid, grace_seconds=1)
        assert (run.code, run.result["outcome"], run.result["changed"]) == (1, "failed", [])
        assert deaf.poll() is None
        run = run_fix(tmp_path, "process_memory_high", "apply", "--force", pid=deaf.pid, grace_seconds=1)
        assert (run.code, run.result["outcome"]) == (0, "done")
        assert deaf.wait(5) == -9


@pytest.mark.parametrize(
    ("issue_type", "more"),
    [("process_memory_high", {}), ("memory_high", {"action": "terminate", "minimum_memory_percent": 1})],
)
def test_a_process_that_holds_memory_is_planned_for_ended_and_verified(
    tmp_path: Path, issue_type: str, more: dict[str, object]
) -> None:
    kibibytes = psutil.virtual_memory().total // 1024 * 3 // 100
    hold = f"held=$(head -c {kibibytes * 1024 // 2} /dev/zero | tr '\\0' x)"
    with sleeping(tmp_path, "hoarder", code=hold) as hoarder:
        wait_until(lambda: psutil.Process(hoarder.pid).memory_info().rss >= kibibytes * 1024 // 2)
        plan = run_fix(tmp_path, issue_type, "plan", pid=hoarder.pid, **more)
        assert plan.result["outcome"] == "planned"
        assert "hoarder" in plan.said
        assert hoarder.poll() is None
        run = run_fix(tmp_path, issue_type, "apply", pid=hoarder.pid, **more)
        assert (run.code, run.result["outcome"]) == (0, "done")
        assert hoarder.wait(5) == -15
        assert run_fix(tmp_path, issue_type, "verify", pid=hoarder.pid, **more).code == 0


def ignores_term(process: subprocess.Popen[bytes]) -> bool:
    (mask,) = re.findall(r"SigIgn:\s+([0-9a-f]+)", Path(f"/proc/{process.pid}/status").read_text())
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def test_memory_high_only_reports_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    run = run_fix(tmp_path, "memory_high", "apply")
    assert (run.code, run.result["outcome"], run.result["changed"]) == (0, "nothing", [])
    assert len(run.result["before"]["processes"]) == 10


def test_a_hostile_name_and_command_stay_text(tmp_path: Path) -> None:
    with sleeping(tmp_path, HOSTILE_NAME, "\x1b[31m\n{}") as hostile:
        run = run_fix(tmp_path, "process_memory_high", "plan", pid=hostile.pid)
        assert run.result["before"]["process"]["name"] == r"a\x0a" + '"' + r"\\xe2\x80\xae$(x)"
        assert len(run.said.splitlines()) == 4
