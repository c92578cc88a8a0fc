"""The fix for services, on those of a real systemd in a namespace, and of a stand-in for launchd."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.all_in_one import wait_until
from tests.worker.remedies.bash import Run, render_fix, run_fix
from tests.worker.remedies.machine import Machine

UP = "exec sleep 1000"
SETTLE = {"settle_seconds": 1}


def fix(folder: Path, machine: Machine, mode: str, service: str) -> Run:
    return run_fix(folder, "service_restart", mode, inside=machine.inside, service=service, **SETTLE)


def started(machine: Machine, service: str) -> str:
    """Start a service, and return which run of it this is."""
    machine.run("systemctl", "start", service)
    return machine.property_of(service, "InvocationID")


def crashed(machine: Machine, service: str) -> str:
    """Start a service and crash it; return which run of it that was."""
    run = started(machine, service)
    machine.run("systemctl", "kill", "--signal=KILL", service)
    wait_until(lambda: machine.property_of(service, "ActiveState") == "failed")
    return run


def as_another_user(inside: list[str], script: Path, mode: str) -> subprocess.CompletedProcess[bytes]:
    """Run a fix without root's rights; another user cannot open it, so it comes by standard input."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-s", mode]
    return subprocess.run([*inside, *user], input=script.read_bytes(), capture_output=True)


def test_a_crashed_service_is_planned_for_restarted_and_verified(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("crashing.service", f"echo ready to serve; {UP}")
    run = crashed(machine, service)
    plan = fix(tmp_path, machine, "plan", service)
    assert (plan.code, plan.result["outcome"]) == (0, "planned")
    assert "ready to serve" in plan.said
    assert machine.property_of(service, "InvocationID") == run
    assert fix(tmp_path, machine, "verify", service).code == 1

    done = fix(tmp_path, machine, "apply", service)
    assert (done.code, done.result["outcome"]) == (0, "done")
    assert (done.result["before"]["state"], done.result["before"]["result"]) == ("failed", "signal")
    assert (done.result["after"]["state"], done.result["after"]["sub_state"]) == ("active", "running")
    assert done.result["changed"] == [{"service": service, "action": "restart"}]
    assert f"service_restart 1.0.0 for event 17 on web-1: restarting service {service}" in machine.logged()

    run = machine.property_of(service, "InvocationID")
    assert fix(tmp_path, machine, "verify", service).code == 0
    again = fix(tmp_path, machine, "apply", service)
    assert (again.result["outcome"], again.result["changed"]) == ("nothing", [])
    assert machine.property_of(service, "InvocationID") == run


def test_a_service_that_does_not_stay_up_fails_with_its_last_words(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("brief.service", "echo out of \u202eluck; sleep 0.3; exit 7")
    run = fix(tmp_path, machine, "apply", service)
    assert (run.code, run.result["outcome"]) == (1, "failed")
    assert (run.result["after"]["state"], run.result["after"]["exit_status"]) == ("failed", 7)
    assert "did not stay up" in run.result["message"]
    assert r"out of \xe2\x80\xaeluck" in run.said.partition("restarting service")[2]


def test_one_that_systemd_starts_again_and_again_does_not_count_as_up(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service(
        "flapping.service",
        "sleep 0.3",
        "Restart=always",
        "RestartSec=0",
        unit=("StartLimitIntervalSec=0",),
    )
    started(machine, service)
    try:
        verify = fix(tmp_path, machine, "verify", service)
        assert (verify.code, verify.result["outcome"]) == (1, "failed")
    finally:
        machine.run("systemctl", "stop", service)


def test_one_that_cannot_be_started_says_what_systemd_says(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("broken.service", "exit 1", "Type=notify")
    run = fix(tmp_path, machine, "apply", service)
    assert (run.code, run.result["outcome"]) == (1, "failed")
    assert f"Job for {service} failed" in run.said


def test_one_that_failed_too_often_in_a_row_is_started_all_the_same(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("often.service", f"[ -e /run/mended ] && {UP}", unit=("StartLimitBurst=2",))
    for _ in range(3):
        machine.run("systemctl", "start", service)
        wait_until(lambda: machine.property_of(service, "ActiveState") == "failed")
    machine.run("touch", "/run/mended")
    machine.run("systemctl", "start", service)
    assert machine.property_of(service, "ActiveState") == "failed"
    assert fix(tmp_path, machine, "apply", service).result["outcome"] == "done"


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("no-such.service", "no service no-such.service"),
        ("poweroff.target", "not a service"),
        ("emergency.service", "takes the machine over"),
        ("masked.service", "masked"),
        ("once.service", "runs once"),
        ("rival.service", "it would stop incumbent.service"),
    ],
)
def test_what_is_better_left_down_is_refused(tmp_path: Path, machine: Machine, service: str, why: str) -> None:
    (machine.units / "masked.service").unlink(missing_ok=True)
    (machine.units / "masked.service").symlink_to("/dev/null")
    machine.add_service("once.service", "true", "Type=oneshot")
    machine.add_service("rival.service", UP, unit=("Conflicts=incumbent.service",))
    started(machine, machine.add_service("incumbent.service", UP))
    run = fix(tmp_path, machine, "apply", service)
    assert (run.code, run.result["outcome"], run.result["changed"]) == (3, "refused", [])
    assert why in run.result["message"]
    assert machine.property_of("incumbent.service", "ActiveState") == "active"


def test_what_others_depend_on_is_not_touched_while_it_runs_whatever_it_is_called(
    tmp_path: Path, machine: Machine
) -> None:
    machine.add_service("redis-server.service", UP)
    alias = machine.units / "cache.service"
    alias.unlink(missing_ok=True)
    alias.symlink_to("redis-server.service")
    run = started(machine, "redis-server.service")
    refused = fix(tmp_path, machine, "apply", "cache.service")
    assert (refused.code, refused.result["outcome"]) == (3, "refused")
    assert machine.property_of("redis-server.service", "InvocationID") == run


def test_what_needs_it_and_runs_on_without_it_is_not_restarted_with_it(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("needed.service", UP)
    needing = machine.add_service("needing.service", UP, unit=(f"Requires={service}", f"After={service}"))
    run = started(machine, needing)
    crashed(machine, service)
    assert fix(tmp_path, machine, "apply", service).result["outcome"] == "done"
    assert machine.property_of(needing, "InvocationID") == run


def test_one_that_waits_to_be_started_again_is_left_to_that_where_others_need_it(
    tmp_path: Path, machine: Machine
) -> None:
    service = machine.add_service("waiting.service", "sleep 0.1", "Restart=always", "RestartSec=100")
    needing = machine.add_service("needing-it.service", UP, unit=(f"Requires={service}", f"After={service}"))
    run = started(machine, needing)
    wait_until(lambda: machine.property_of(service, "SubState") == "auto-restart")
    refused = fix(tmp_path, machine, "apply", service)
    after = machine.property_of(needing, "InvocationID")
    machine.run("systemctl", "stop", needing, service)
    assert (refused.code, after) == (3, run)
    assert f"it would restart {needing} too, which runs" in refused.result["message"]


def test_it_is_systemd_that_is_named_where_it_does_not_answer(tmp_path: Path, machine: Machine) -> None:
    # Without D-Bus it answers root alone.
    service = machine.add_service("unseen.service", UP)
    done = as_another_user(machine.inside, render_fix(tmp_path, "service_restart", service=service), "plan")
    assert done.returncode == 3
    assert b"systemd does not answer" in done.stdout


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_killed_while_it_watches_it_leaves_the_service_up(
    tmp_path: Path, machine: Machine, sent: signal.Signals
) -> None:
    service = machine.add_service("watched.service", UP)
    machine.run("systemctl", "stop", service)
    script = render_fix(tmp_path, "service_restart", service=service, settle_seconds=60)
    process = subprocess.Popen([*machine.inside, "bash", script, "apply"], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: machine.property_of(service, "ActiveState") == "active")
    (bash,) = psutil.Process(process.pid).children()
    bash.send_signal(sent)
    said = process.communicate(timeout=30)[0]
    assert machine.property_of(service, "ActiveState") == "active"
    if sent == signal.SIGTERM:
        result = json.loads(said.splitlines()[-1])
        assert (process.returncode, result["exit_code"], result["outcome"]) == (1, 1, "failed")
        assert result["message"].startswith("interrupted")
        assert result["changed"] == [{"service": service, "action": "restart"}]


LAUNCHCTL = """#!/bin/bash
# launchctl with one job, which runs for as long as its process does.
job=$(dirname "$0")/job
[ "${*: -1}" = system/org.example.web ] || exit 113
case $1 in
  kickstart)
    sleep 1000 > /dev/null 2>&1 &
    echo $! > "$job"
    ;;
  print)
    pid=$(cat "$job")
    printf 'system/org.example.web = {\\n\\tactive count = 1\\n\\ttype = LaunchDaemon\\n'
    if kill -0 "$pid"; then
      printf '\\tstate = running\\n\\n\\truns = 2\\n\\tpid = %d\\n' "$pid"
    else
      printf '\\tstate = not running\\n\\n\\truns = 1\\n\\tlast exit code = 78: EX_CONFIG\\n'
    fi
    printf '\\tendpoints = {\\n\\t\\tstate = active\\n\\t}\\n}\\n'
    ;;
esac 2> /dev/null
"""


@pytest.fixture
def mac(tmp_path: Path) -> list[str]:
    """The command that has what it runs see what stands for macOS: its uname, its launchd, no systemd."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts of one's own cannot be had here")
    programs = tmp_path / "sbin"
    programs.mkdir()
    for name, text in {
        "launchctl": LAUNCHCTL,
        "uname": "#!/bin/sh\necho Darwin\n",
        "log": "#!/bin/sh\necho web: config is bad\n",
        "logger": '#!/bin/sh\necho "$@" >> "$(dirname "$0")/logged"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (programs / "job").write_text("4194304")
    see = 'mount -t tmpfs none /run && mount --bind "$0" /usr/local/sbin && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", see, str(programs)]


def test_another_user_gets_the_plan_and_is_refused_the_rest(tmp_path: Path, mac: list[str]) -> None:
    script = render_fix(tmp_path, "service_restart", service="org.example.web")
    assert as_another_user(mac, script, "plan").returncode == 0
    done = as_another_user(mac, script, "apply")
    assert (done.returncode, b"by root only" in done.stdout) == (3, True)
    assert (tmp_path / "sbin" / "job").read_text() == "4194304"


def test_a_job_of_launchd_is_started_and_watched(tmp_path: Path, mac: list[str]) -> None:
    job = tmp_path / "sbin" / "job"

    def run(mode: str, service: str = "org.example.web") -> Run:
        return run_fix(tmp_path, "service_restart", mode, inside=mac, service=service, **SETTLE)

    assert run("apply", "org.example.none").code == 3
    plan = run("plan")
    assert (plan.code, plan.result["outcome"]) == (0, "planned")
    assert "config is bad" in plan.said
    assert job.read_text() == "4194304"
    assert run("verify").code == 1
    done = run("apply")
    process = psutil.Process(int(job.read_text()))
    try:
        assert (done.code, done.result["outcome"]) == (0, "done")
        assert done.result["before"] == before_launchd()
        assert (done.result["after"]["state"], done.result["after"]["runs"]) == ("active", "2")
        line = "service_restart 1.0.0 for event 17 on web-1: restarting service org.example.web"
        assert (tmp_path / "sbin" / "logged").read_text() == f"-t fleetmedic -- {line}\n"
        assert run("apply").result["outcome"] == "nothing"
    finally:
        process.kill()


def before_launchd() -> dict[str, Any]:
    return {"service": "org.example.web", "state": "not running", "last_exit_code": "78: EX_CONFIG", "runs": "1"}


def test_a_service_cannot_be_restarted_where_nothing_manages_services(tmp_path: Path) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd runs here")
    run = run_fix(tmp_path, "service_restart", "apply", service="nginx.service")
    assert (run.code, run.result["outcome"]) == (3, "refused")
