"""What holds for every fix in bash: its form, its modes, its guards."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worker.remedies.bash import TEMPLATES, run_fix, sleeping
from worker.remedies.templates import BUILT_IN

FIXES = {issue_type: BUILT_IN / issue_type / "fix.sh" for issue_type in TEMPLATES}
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
NEEDED: dict[str, dict[str, Any]] = {
    "process_memory_high": {"pid": 4_194_304},
    "service_restart": {"service": "no-such.service"},
}
each = pytest.mark.parametrize("issue_type", TEMPLATES)
ends_processes = pytest.mark.parametrize(
    ("issue_type", "more"),
    [
        ("cpu_high", {"measure_seconds": 1}),
        ("memory_high", {"action": "terminate"}),
        ("process_memory_high", {}),
    ],
)


@each
def test_shellcheck_has_nothing_to_say(issue_type: str) -> None:
    done = subprocess.run([SHELLCHECK, FIXES[issue_type]], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@each
def test_it_is_written_for_bash_3_2(issue_type: str) -> None:
    newer = r"(declare|local) -[An]|mapfile|readarray|\$\{[^}]*(,,|\^\^|@[QEPAa])\}|EPOCHSECONDS|coproc|\|&|;;&|wait -n"
    assert re.findall(newer, FIXES[issue_type].read_text()) == []


@each
def test_it_reads_each_of_its_parameters_with_the_same_default(issue_type: str) -> None:
    read = dict(re.findall(r"\$\{FM_([A-Z_]+):-([^}]*)\}", FIXES[issue_type].read_text()))
    assert {name.lower(): default for name, default in read.items()} == {
        one.name: "" if one.default is None else str(one.default).lower() if one.type == "boolean" else str(one.default)
        for one in TEMPLATES[issue_type].remedy.parameters
    }


def shared_functions(issue_type: str) -> dict[str, str]:
    """The functions that come before what is the remedy's own, by name."""
    shared = FIXES[issue_type].read_text().partition("# ---- This remedy")[0]
    found = re.finditer(r"^(\w+)\(\) \{\n.*?^\}$", shared, re.MULTILINE | re.DOTALL)
    return {function[1]: function[0] for function in found}


def test_what_several_have_they_have_alike() -> None:
    functions: dict[str, set[str]] = {}
    for issue_type in FIXES:
        for name, body in shared_functions(issue_type).items():
            functions.setdefault(name, set()).add(body)
    assert {name for name, bodies in functions.items() if len(bodies) > 1} == set()
    assert {"shown", "json", "finish"} <= functions.keys()


def test_the_block_that_every_remedy_has_is_the_same_text() -> None:
    title = "\n# ---- What every remedy has: "
    blocks = {fix.read_text().partition(title)[2].partition("\n# ---- ")[0] for fix in FIXES.values()}
    assert len(blocks) == 1
    assert "finish() {" in blocks.pop()


@each
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fix"],
        ["--help"],
        ["plan", "--force"],
        ["apply", "--force", "x"],
        ["apply", "yes"],
    ],
)
def test_anything_but_a_mode_is_answered_with_the_usage(tmp_path: Path, issue_type: str, arguments: list[str]) -> None:
    run = run_fix(tmp_path, issue_type, *arguments, **NEEDED.get(issue_type, {}))
    assert (run.code, run.result["outcome"], run.result["exit_code"]) == (2, "usage", 2)
    assert "plan | apply" in run.result["message"]


@pytest.mark.parametrize("asked", ["name", "command", "parent", "start"])
def test_a_process_that_vanishes_before_it_is_looked_at_is_nothing_to_complain_of(asked: str) -> None:
    functions = shared_functions("memory_high")
    script = "\n".join(["system=Linux", "is_linux() { true; }", *functions.values(), f"process_{asked} 4194304"])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


@each
def test_the_script_as_it_stands_runs_or_names_what_it_needs(issue_type: str) -> None:
    # More than any process uses: what is busy beside the tests may be what is to be left alone.
    given = {"FM_MEASURE_SECONDS": "1", "FM_MINIMUM_CPU_PERCENT": "100000", "FM_MOUNT": "/dev/shm"}
    environment = {"PATH": os.environ["PATH"], **given}
    done = subprocess.run(["bash", FIXES[issue_type], "plan"], env=environment, capture_output=True, text=True)
    assert done.returncode == (2 if issue_type in NEEDED else 0), done.stdout + done.stderr
    if issue_type in NEEDED:
        assert next(iter(NEEDED[issue_type])) in done.stdout
    assert done.stderr == ""


@each
def test_a_plan_has_its_result_in_the_last_line(tmp_path: Path, issue_type: str) -> None:
    given = NEEDED.get(issue_type, {})
    if issue_type == "disk_full":
        given = {"mount": "/dev/shm"}
    run = run_fix(tmp_path, issue_type, "plan", **given)
    assert list(run.result) == ["remedy", "mode", "outcome", "exit_code", "message", "before", "after", "changed"]
    assert (run.result["remedy"], run.result["mode"], run.result["exit_code"]) == (issue_type, "plan", run.code)
    assert run.result["changed"] == []


@ends_processes
@pytest.mark.parametrize("pid", [os.getpid(), os.getppid(), 2])
def test_ancestors_and_the_system_itself_are_refused(
    tmp_path: Path, issue_type: str, more: dict[str, Any], pid: int
) -> None:
    run = run_fix(tmp_path, issue_type, "apply", pid=pid, **more)
    if pid > 2 or run.result["outcome"] != "nothing":
        assert (run.code, run.result["outcome"]) == (3, "refused")
    assert run.result["changed"] == []


@ends_processes
@pytest.mark.parametrize("name", ["sshd", "postgres", "redis-server", "dockerd", "systemd-logind", "gnome-shell"])
def test_processes_that_others_depend_on_are_refused(
    tmp_path: Path, issue_type: str, more: dict[str, Any], name: str
) -> None:
    with sleeping(tmp_path, name) as one:
        run = run_fix(tmp_path, issue_type, "apply", pid=one.pid, **more)
        assert (run.code, run.result["outcome"]) == (3, "refused")
        assert one.poll() is None


@ends_processes
def test_fleetmedic_itself_is_refused(tmp_path: Path, issue_type: str, more: dict[str, Any]) -> None:
    with sleeping(tmp_path, "python", "-m", "cli.main", "worker") as one:
        run = run_fix(tmp_path, issue_type, "apply", pid=one.pid, **more)
        assert (run.code, run.result["outcome"]) == (3, "refused")
        assert one.poll() is None


@ends_processes
def test_a_pid_that_is_another_process_by_now_is_left_alone(
    tmp_path: Path, issue_type: str, more: dict[str, Any]
) -> None:
    with sleeping(tmp_path, "innocent") as one:
        run = run_fix(tmp_path, issue_type, "apply", pid=one.pid, start_time=1.7e9, **more)
        assert (run.code, run.result["outcome"]) == (0, "nothing")
        assert "another one" in run.result["message"]
        assert one.poll() is None


@ends_processes
def test_a_process_that_is_gone_is_nothing_to_do(tmp_path: Path, issue_type: str, more: dict[str, Any]) -> None:
    with sleeping(tmp_path, "gone") as one:
        one.kill()
    run = run_fix(tmp_path, issue_type, "apply", pid=one.pid, **more)
    assert (run.code, run.result["outcome"]) == (0, "nothing")
