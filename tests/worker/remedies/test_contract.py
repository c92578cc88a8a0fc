"""What holds for every fix in bash: its form, its modes, its guards."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from store.remedies import Parameter
from tests.system.all_in_one import wait_until
from tests.worker.remedies.bash import TEMPLATES, render_fix, run_fix, sleeping
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


# All optional checks of shellcheck but those that these scripts do otherwise on purpose.
OTHERWISE = {
    "SC2002": "a file that may vanish is read by cat, whose complaint can be silenced",
    "SC2249": "a case without a default does nothing by default",
    "SC2250": "braces stand where the name would run on",
    "SC2292": "[ does all that is needed, as it does in any shell that a reader knows",
    "SC2312": "what a command prints is looked at, not how it ended",
}
NEWER_THAN_3_2 = {
    r"\b(declare|local|typeset)\s+-\w*[Angul]": "local -A map",
    r"\b(mapfile|readarray|coproc)\b": "mapfile -t lines",
    r"\$\{!?\w+(\[[^]]*\])?(,|\^)": "${name,,}",
    r"\$\{\w+(\[[^]]*\])?@": "${name@Q}",
    r"\$\{\w+\[-": "${list[-1]}",
    r"\$\{\w+:[^}]*:\s*-\d": "${name:0:-1}",
    r"\b(EPOCHSECONDS|EPOCHREALTIME|BASHPID|SRANDOM|BASH_ARGV0)\b": "$EPOCHSECONDS",
    r"\|&": "make |& cat",
    r"&>>": "make &>> log",
    r";;?&": "a) ;;&",
    r"\bwait\s+-n": "wait -n",
    r"\bread\b[^|;\n]* -\w*([Ni]|t\s*0?\.)": "read -t 0.2 line",
    r"%\([^)]*\)T": "printf '%(%F)T'",
    r"(\[\[?|\btest)\s+!?\s*-[vR]\s": "[ -v name ]",
    r"\{0\d+\.\.|\{[^{}\s]+\.\.[^{}\s]+\.\.": "{01..10}",
    r"\bshopt\s+-s\s+(globstar|lastpipe|inherit_errexit)": "shopt -s lastpipe",
    r"\bexec\s+\{\w+\}": "exec {log}> file",
    r"\$'[^']*\\[uU]": r"$'\u2019'",
    r"\blocal\s+-(\s|$)": "local -",
}


def shellcheck(*files: Path) -> str:
    command = [SHELLCHECK, "--enable=all", f"--exclude={','.join(OTHERWISE)}", "--format=gcc", *files]
    return subprocess.run(command, capture_output=True, text=True).stdout


def test_shellcheck_has_nothing_to_say_of_them_as_they_stand() -> None:
    assert shellcheck(*FIXES.values()) == ""


def test_shellcheck_has_nothing_to_say_of_them_with_their_values(tmp_path: Path) -> None:
    assert shellcheck(*(render_fix(tmp_path, one, **NEEDED.get(one, {})) for one in FIXES)) == ""


@pytest.mark.parametrize(("construct", "example"), NEWER_THAN_3_2.items(), ids=NEWER_THAN_3_2.values())
def test_they_are_written_for_bash_3_2(construct: str, example: str) -> None:
    assert re.search(construct, example)
    found = {issue_type: re.search(construct, fix.read_text()) for issue_type, fix in FIXES.items()}
    assert {issue_type: match[0] for issue_type, match in found.items() if match} == {}


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


def test_what_fails_without_having_said_so_still_ends_with_the_result(tmp_path: Path) -> None:
    head = FIXES["disk_health"].read_text().partition("\n# ---- This remedy")[0]
    script = tmp_path / "faulty.sh"
    script.write_text(f'{head}\nnote before \'"seen":1\'\nprintf "%s" "$no_such_variable"\n')
    done = subprocess.run(["bash", script, "plan"], capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, result["exit_code"], result["outcome"]) == (1, 1, "failed")
    assert result["before"] == {"seen": 1}


PARAMETERS = [(issue_type, one) for issue_type, template in TEMPLATES.items() for one in template.remedy.parameters]
NOT_TEXT = [(issue_type, one) for issue_type, one in PARAMETERS if one.type != "string" or one.choices]


@pytest.mark.parametrize(("issue_type", "parameter"), NOT_TEXT, ids=[f"{a}-{b.name}" for a, b in NOT_TEXT])
def test_a_value_that_is_none_is_refused_by_name_before_it_is_reckoned_with(
    tmp_path: Path, issue_type: str, parameter: Parameter
) -> None:
    given = {**NEEDED.get(issue_type, {}), parameter.name: "a[$(touch canary)]"}
    environment = {f"FM_{name.upper()}": str(value) for name, value in given.items()}
    command = ["bash", FIXES[issue_type], "plan"]
    done = subprocess.run(command, env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout.splitlines()[-1])["message"].startswith(f"{parameter.name} must be ")
    assert list(tmp_path.iterdir()) == []


@each
def test_a_number_has_the_bounds_that_the_remedy_gives_it(issue_type: str) -> None:
    held = set(re.findall(r"need_integer (\w+) \S+ (\d+) (\d+)", FIXES[issue_type].read_text()))
    assert held == {
        (one.name, str(one.minimum), str(one.maximum))
        for one in TEMPLATES[issue_type].remedy.parameters
        if one.type in ("integer", "number")
    }


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


@pytest.mark.parametrize("asked", ["name", "command", "parent"])
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


HARMLESS: dict[str, dict[str, Any]] = {
    **NEEDED,
    "cpu_high": {"pid": 4_194_304, "measure_seconds": 1},
    "disk_full": {"mount": "/dev/shm"},
}
OUTCOMES = {"planned": 0, "nothing": 0, "done": 0, "failed": 1, "usage": 2, "refused": 3}


@each
@pytest.mark.parametrize(
    ("mode", "possible"),
    [
        ("plan", {"planned", "nothing", "refused"}),
        ("apply", {"done", "nothing", "failed", "refused"}),
        ("verify", {"done", "nothing", "failed", "refused"}),
    ],
)
def test_each_mode_ends_with_its_result_in_the_last_line(
    tmp_path: Path, issue_type: str, mode: str, possible: set[str]
) -> None:
    run = run_fix(tmp_path, issue_type, mode, **HARMLESS.get(issue_type, {}))
    assert list(run.result) == ["remedy", "mode", "outcome", "exit_code", "message", "before", "after", "changed"]
    assert (run.result["remedy"], run.result["mode"], run.result["exit_code"]) == (issue_type, mode, run.code)
    assert run.result["outcome"] in possible
    assert run.code == OUTCOMES[run.result["outcome"]]
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


@pytest.mark.parametrize("issue_type", ["cpu_high", "memory_high", "process_memory_high", "disk_health"])
def test_without_proc_nothing_is_called_well(tmp_path: Path, issue_type: str) -> None:
    inside = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts of one's own cannot be had here, as in a container or without root")
    run = run_fix(tmp_path, issue_type, "verify", inside=inside, **HARMLESS.get(issue_type, {}))
    if issue_type == "disk_health":
        assert "what is mounted" in run.result["before"]["unseen"]
        assert "none is read-only" not in run.said
    else:
        assert (run.code, run.result["message"].startswith("/proc is needed")) == (1, True)


@ends_processes
def test_a_program_that_was_updated_since_it_started_is_known_all_the_same(
    tmp_path: Path, issue_type: str, more: dict[str, Any]
) -> None:
    program = tmp_path / "mysqld"
    shutil.copy("/bin/bash", program)
    with sleeping(tmp_path, "mysqld", code="printf other > /proc/self/comm") as one:
        wait_until(lambda: Path(f"/proc/{one.pid}/comm").read_text() == "other\n", every=0.01)
        program.unlink()
        run = run_fix(tmp_path, issue_type, "apply", pid=one.pid, **more)
        assert (run.code, run.result["outcome"]) == (3, "refused")
        assert run.result["message"].endswith("it is a database")


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
