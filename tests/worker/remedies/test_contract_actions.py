"""What every fix in bash does to a machine: nothing when it plans, and nothing that it does not log when it applies."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.all_in_one import wait_until
from tests.worker.remedies.bash import TEMPLATES, run_fix
from tests.worker.remedies.machine import Machine
from tests.worker.remedies.processes import with_files
from worker.remedies.templates import BUILT_IN

Parameters = dict[str, Any]


def a_process(machine: Machine, name: str, command: str) -> int:
    """Run a process on a machine, and return its pid there."""
    service = machine.add_service(name, command)
    machine.run("systemctl", "start", service)
    return int(machine.property_of(service, "MainPID"))


def a_burner(machine: Machine) -> Parameters:
    pid = a_process(machine, "burner.service", "while :; do :; done")
    return {"pid": pid, "action": "renice", "minimum_cpu_percent": 1, "measure_seconds": 1}


def an_old_log(machine: Machine) -> Parameters:
    machine.run("sh", "-c", "head -c 1048576 /dev/zero > /var/log/old.gz && touch -d '-30 days' /var/log/old.gz")
    return {"mount": "/"}


def a_hoarder(machine: Machine) -> Parameters:
    return {"pid": a_process(machine, "hoarder.service", "exec sleep 1000")}


def a_crashed_service(machine: Machine) -> Parameters:
    service = machine.add_service("crashed.service", "exit 1")
    machine.run("systemctl", "start", service)
    wait_until(lambda: machine.property_of(service, "ActiveState") == "failed")
    return {"service": service}


def nothing(_: Machine) -> Parameters:
    return {}


TROUBLES: dict[str, Callable[[Machine], Parameters]] = {
    "cpu_high": a_burner,
    "disk_full": an_old_log,
    "disk_health": nothing,
    "memory_high": nothing,
    "process_memory_high": a_hoarder,
    "service_restart": a_crashed_service,
}


@pytest.fixture
def trouble(issue_type: str, machine: Machine) -> Iterator[Parameters]:
    """Make what a fix is to mend on the machine; its parameters."""
    yield TROUBLES[issue_type](machine)
    machine.run("systemctl", "stop", "burner.service", "hoarder.service")


def seen(machine: Machine) -> tuple[list[str], list[object], str]:
    """Return all files of a machine, all its processes and the state of all its units."""
    # What systemd and the journal write down of all that runs goes on meanwhile.
    files = machine.run(
        *("find", "/", "/run", "-xdev", "(", "-path", "/run/log", "-o", "-path", "/run/systemd", ")", "-prune", "-o"),
        *("-printf", "%p %i %y %m %U %s %T@ %C@\\n"),
    )
    processes = psutil.Process(machine.pid).children(recursive=True)
    return (
        sorted(files.splitlines()),
        [(one.pid, one.create_time(), one.nice(), one.cmdline()) for one in processes],
        machine.run("systemctl", "list-units", "--plain", "--no-legend"),
    )


@pytest.mark.parametrize("issue_type", TROUBLES)
def test_a_plan_leaves_files_processes_and_services_as_they_were(
    tmp_path: Path, machine: Machine, trouble: Parameters, issue_type: str
) -> None:
    before = seen(machine)
    assert all(before)
    plan = run_fix(tmp_path, issue_type, "plan", inside=machine.inside, **trouble)
    assert (plan.code, plan.result["outcome"]) == (0, "planned" if trouble else "nothing")
    assert seen(machine) == before


@pytest.mark.parametrize(
    ("issue_type", "action"),
    [
        ("cpu_high", "renice"),
        ("cpu_high", "terminate"),
        ("disk_full", None),
        ("memory_high", "terminate"),
        ("memory_high", "drop_caches"),
        ("process_memory_high", None),
    ],
)
def test_all_that_is_done_is_said_and_logged(
    tmp_path: Path, machine: Machine, trouble: Parameters, issue_type: str, action: str | None
) -> None:
    parameters, inside, logged = {**trouble}, machine.inside, len(machine.logged())
    if action == "drop_caches":
        parameters["drop_caches"] = True
    elif action is not None:
        parameters["action"] = action
    if issue_type == "memory_high":
        # Of so little memory any process holds enough, and so do caches.
        (tmp_path / "meminfo").write_text("MemTotal: 20480 kB\nMemAvailable: 10240 kB\nCached: 8192 kB\n")
        (tmp_path / "drop").touch()
        files = {"/proc/meminfo": tmp_path / "meminfo", "/proc/sys/vm/drop_caches": tmp_path / "drop"}
        inside = [*machine.inside, *with_files(files)]
        if action == "terminate":
            parameters |= {**a_hoarder(machine), "minimum_memory_percent": 1}
    run = run_fix(tmp_path, issue_type, "apply", inside=inside, **parameters)
    assert (run.code, run.result["outcome"]) == (0, "done")
    actions = machine.logged()[logged:]
    answers = f"{issue_type} {TEMPLATES[issue_type].remedy.version} for event 17 on web-1: "
    assert len(actions) == len(run.result["changed"]) > 0
    assert all(line.startswith(answers) for line in actions)
    assert {line.removeprefix(answers) for line in actions} <= {*run.said.splitlines()}
    done = {"renice": "lowering the priority of", "terminate": "asking process", "drop_caches": "dropping clean caches"}
    assert all(done.get(action or "", "") in line for line in actions)


def test_where_there_is_no_log_that_is_said(tmp_path: Path, machine: Machine) -> None:
    without = 'mount --bind /dev/null /run/systemd/journal/dev-log && exec "$@"'
    inside = [*machine.inside, "unshare", "--mount", "sh", "-c", without, "sh"]
    run = run_fix(tmp_path, "process_memory_high", "apply", inside=inside, **a_hoarder(machine))
    assert "there is no system log to write that to" in run.said


def test_a_hostile_name_of_the_host_stays_a_piece_of_one_line_in_the_log(tmp_path: Path, machine: Machine) -> None:
    pid, logged = a_hoarder(machine)["pid"], len(machine.logged())
    script = shutil.copy(BUILT_IN / "process_memory_high" / "fix.sh", tmp_path)
    machine.run("env", f"FM_PID={pid}", "FM_HOST=web\nforged $(touch /canary)", "bash", script, "apply")
    assert machine.logged()[logged:] == [
        rf"process_memory_high on web\x0aforged $(touch /canary): asking process {pid} (sleep) to end"
    ]
    assert machine.run("ls", "/canary") == ""
