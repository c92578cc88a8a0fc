"""What the fixes that end processes have in common, on real ones: whom they touch, and how they end it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.system.all_in_one import wait_until
from tests.worker.remedies.bash import render_fix, run_fix, sleeping
from tests.worker.remedies.processes import SEALED, minds_term, need_mounts, python, state_of
from worker.remedies.templates import BUILT_IN

FIX = "process_memory_high"
DEAF = "trap '' TERM"
HEEDS_THE_SECOND = "trap 'trap - TERM' TERM"
HOSTILE_NAME = 'a\n"\\\u202e$(x)'
THREADED = """
import sys, threading, time
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
print(other.native_id, flush=True)
open('/proc/self/comm', 'w').write(sys.argv[1])
time.sleep(60)
"""
PROTECTED = {
    "it is part of the init system": "systemd systemd-logind init runsv s6-supervise supervisord dbus-broker-lau",
    "it lets people in": "sshd sshd-session dropbear agetty",
    "it is a database": "postgres mysqld mariadbd mongod redis-server valkey-server ora_pmon_x clickhouse-serv etcd",
    "it runs containers or virtual machines": "dockerd containerd containerd-shim conmon kubelet qemu-system-x86",
    "it is the desktop session": "Xorg gnome-shell gnome-session-b kwin_wayland plasmashell xfce4-session",
}
COMMANDS = {
    "it is part of Fleetmedic": [
        "/srv/.venv/bin/python /srv/.venv/bin/fleetmedic up --port 80",
        "python -m cli.main worker",
        "python -m cli.guardian",
    ],
    "it is a database": ["java -Xmx8g org.elasticsearch.bootstrap.Elasticsearch -d"],
}
WITHOUT_ITS_FIRST_THREAD = """
import ctypes, sys, threading, time
open('/proc/self/comm', 'w').write(sys.argv[1])
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
# The first process of a namespace: when the one that the fix ends has ended, it gives its pid to another one at once.
# It fails when that one does not survive.
GIVES_A_PID_AGAIN = """
import os, signal, subprocess, sys, time

def sleeper():
    pid = os.fork()
    if pid == 0:
        os.execvp("sleep", ["sleep", "60"])
    return pid

sleeper()
seen = sleeper()
fix = subprocess.Popen(sys.argv[1:])
os.waitpid(seen, 0)
while True:
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(seen - 1))
    innocent = sleeper()
    if innocent == seen:
        break
    os.kill(innocent, signal.SIGKILL)
    os.waitpid(innocent, 0)
code = fix.wait()
sys.exit(code if os.waitpid(innocent, os.WNOHANG) == (0, 0) else 99)
"""


def test_a_plan_and_an_end_write_no_file_at_all(tmp_path: Path) -> None:
    need_mounts()
    with sleeping(tmp_path, "hoarder") as hoarder:
        before = state_of(hoarder)
        plan = run_fix(tmp_path, FIX, "plan", inside=SEALED, pid=hoarder.pid)
        assert (plan.code, plan.result["outcome"], plan.result["changed"]) == (0, "planned", [])
        assert state_of(hoarder) == before
        run = run_fix(tmp_path, FIX, "apply", inside=SEALED, pid=hoarder.pid)
        assert (run.code, run.result["changed"]) == (0, [{"pid": hoarder.pid, "name": "hoarder", "action": "end"}])
        assert hoarder.wait(5) == -signal.SIGTERM


def test_what_is_sealed_can_write_nowhere(tmp_path: Path) -> None:
    need_mounts()
    places = (f"{tmp_path}/file", "/tmp/file", "/dev/shm/file", "/proc/self/oom_score_adj")
    write = "\n".join(f"echo 0 > {place} && echo {place}" for place in places)
    assert subprocess.run([*SEALED, "bash", "-c", write], capture_output=True, text=True).stdout == ""


def test_a_pid_that_is_given_again_while_the_fix_waits_is_left_alone(tmp_path: Path) -> None:
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-SE", "-c", GIVES_A_PID_AGAIN]
    if subprocess.run([*inside[:4], "test", "-w", "/proc/sys/kernel/ns_last_pid"], capture_output=True).returncode != 0:
        pytest.skip("pids of one's own cannot be had here, as in a container or without root")
    run = run_fix(tmp_path, FIX, "apply", "--force", inside=inside, pid=3, grace_seconds=1)
    assert (run.code, run.result["outcome"]) == (0, "done")
    assert run.result["changed"] == [{"pid": 3, "name": "sleep", "action": "end"}]


def test_a_process_that_does_not_listen_is_killed_by_force_only(tmp_path: Path) -> None:
    with sleeping(tmp_path, "deaf", code=DEAF) as deaf:
        wait_until(lambda: minds_term(deaf), every=0.01)
        run = run_fix(tmp_path, FIX, "apply", pid=deaf.pid, grace_seconds=1)
        assert (run.code, run.result["outcome"], run.result["changed"]) == (1, "failed", [])
        assert "--force would kill it" in run.said
        assert deaf.poll() is None
        run = run_fix(tmp_path, FIX, "apply", "--force", pid=deaf.pid, grace_seconds=1)
        assert (run.code, run.result["changed"]) == (0, [{"pid": deaf.pid, "name": "deaf", "action": "kill"}])
        assert deaf.wait(5) == -signal.SIGKILL


def test_a_process_that_is_stopped_is_let_go_on_to_its_end(tmp_path: Path) -> None:
    with sleeping(tmp_path, "stopped") as stopped:
        stopped.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(stopped.pid).status() == psutil.STATUS_STOPPED, every=0.01)
        run = run_fix(tmp_path, FIX, "apply", pid=stopped.pid)
        assert (run.code, stopped.wait(5)) == (0, -signal.SIGTERM)


def test_a_process_whose_first_thread_has_ended_has_not_ended(tmp_path: Path) -> None:
    with python(WITHOUT_ITS_FIRST_THREAD, "headless") as headless:
        wait_until(lambda: psutil.Process(headless.pid).status() == psutil.STATUS_ZOMBIE, every=0.01)
        run = run_fix(tmp_path, FIX, "apply", pid=headless.pid)
        assert run.result["changed"] == [{"pid": headless.pid, "name": "headless", "action": "end"}]
        assert headless.wait(5) == -signal.SIGTERM


@contextmanager
def under_way(folder: Path, said: str, issue_type: str, **parameters: object) -> Iterator[subprocess.Popen[str]]:
    """Apply a fix in a session of its own until it says this; what is left of it afterwards ends by itself."""
    script = render_fix(folder, issue_type, **parameters)
    fix = subprocess.Popen(
        ["bash", str(script), "apply"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert fix.stdout is not None
    while said and said not in fix.stdout.readline():
        assert fix.poll() is None
    yield fix
    wait_until(lambda: not session(fix.pid))


def session(leader: int) -> list[int]:
    """Return the processes of a session that still run."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_fix_that_is_ended_half_way_leaves_nothing_behind_and_can_be_run_again(
    tmp_path: Path, how: signal.Signals
) -> None:
    with sleeping(tmp_path, "stubborn", code=HEEDS_THE_SECOND) as stubborn:
        wait_until(lambda: minds_term(stubborn), every=0.01)
        with under_way(tmp_path, "to end", FIX, pid=stubborn.pid, grace_seconds=300) as fix:
            before = state_of(stubborn), set(tmp_path.iterdir())
            wait_until(lambda: not minds_term(stubborn), every=0.01)
            fix.send_signal(how)
            said, _ = fix.communicate(timeout=30)
        assert (state_of(stubborn), set(tmp_path.iterdir())) == before
        if how == signal.SIGTERM:
            result = json.loads(said.splitlines()[-1])
            assert (fix.returncode, result["outcome"], result["changed"]) == (1, "failed", [])
            assert result["message"].startswith("interrupted")
        run = run_fix(tmp_path, FIX, "apply", pid=stubborn.pid)
        assert (run.code, stubborn.wait(5)) == (0, -signal.SIGTERM)


def test_a_fix_that_measures_is_interrupted_at_once(tmp_path: Path) -> None:
    with sleeping(tmp_path, "idle") as idle:
        with under_way(tmp_path, "", "cpu_high", pid=idle.pid, measure_seconds=60) as fix:
            wait_until(lambda: any(psutil.Process(pid).name() == "sleep" for pid in session(fix.pid)))
            fix.send_signal(signal.SIGTERM)
            said, _ = fix.communicate(timeout=30)
        assert (fix.returncode, json.loads(said.splitlines()[-1])["outcome"]) == (1, "failed")
        assert idle.poll() is None


def test_the_pid_of_a_thread_is_none_of_a_process(tmp_path: Path) -> None:
    with python(THREADED, "threaded", stdout=subprocess.PIPE) as threaded:
        assert threaded.stdout is not None
        run = run_fix(tmp_path, FIX, "apply", pid=int(threaded.stdout.readline()))
        assert (run.code, run.result["outcome"]) == (2, "usage")
        assert f"is a thread of process {threaded.pid}" in run.result["message"]
        assert threaded.poll() is None


def test_a_process_of_another_user_is_refused_without_the_right_to_end_it(tmp_path: Path) -> None:
    inside = ["setpriv", "--bounding-set=-kill"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("only root can run something as another user")
    with subprocess.Popen(["sleep", "60"], user=65534) as other:
        try:
            run = run_fix(tmp_path, FIX, "apply", inside=inside, pid=other.pid)
            assert (run.code, run.result["outcome"]) == (3, "refused")
            assert "run this as root" in run.result["message"]
            assert other.poll() is None
        finally:
            other.kill()


def test_a_protected_program_is_refused_whatever_it_calls_itself(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    shutil.copy("/bin/bash", program)
    with sleeping(tmp_path, "redis-server", code="printf innocent > /proc/$$/comm") as redis:
        wait_until(lambda: psutil.Process(redis.pid).name() == "innocent", every=0.01)
        run = run_fix(tmp_path, FIX, "apply", pid=redis.pid)
        assert (run.code, run.result["outcome"]) == (3, "refused")
        assert run.result["message"].endswith("(innocent) is left alone: it is a database")
        assert redis.poll() is None


def protections(script: str) -> list[str]:
    """Return the lines that a script prints which asks for the protection of processes."""
    fix = (BUILT_IN / FIX / "fix.sh").read_text()
    functions = re.findall(r"^\w+\(\) (?:\{\n.*?^\}|\{ .*? \})$", fix, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash"], input="\n".join(["system=Linux", *functions, script]), capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_whom_others_depend_on_is_left_alone_and_nobody_else(tmp_path: Path) -> None:
    expected = [f"{name}: {why}" for why, names in PROTECTED.items() for name in names.split()]
    expected += [f"{name}: " for name in ("nginx", "sshd2", "my-init", "python3", "[kworker/0:1]")]
    os.mkfifo(tmp_path / "fifo")
    asked = "\n".join(
        f"""
      (printf %s '{name}' > "/proc/$BASHPID/comm"; read -r -t 60 <> {tmp_path}/fifo) & pid=$!
      until [ "$(process_name "$pid")" = '{name}' ]; do :; done
      printf '%s: %s\n' '{name}' "$(protection "$pid")"
      kill "$pid" """
        for name in [line.partition(": ")[0] for line in expected]
    )
    assert protections(asked) == expected


def test_fleetmedic_and_some_databases_are_known_by_their_commands() -> None:
    asked = "\n".join(
        f"""
      (exec -a '{command}' sleep 60) & pid=$!
      until [ "$(process_name "$pid")" = sleep ]; do :; done
      printf '%s\n' "$(protection "$pid")"
      kill "$pid" """
        for commands in COMMANDS.values()
        for command in commands
    )
    assert protections(asked) == [why for why, commands in COMMANDS.items() for _ in commands]


def test_the_kernel_is_left_alone(tmp_path: Path) -> None:
    threads = [process.pid for process in psutil.process_iter() if process.ppid() == 2 and process.pid > 2]
    if not threads:
        pytest.skip("threads of the kernel are not to be seen here, as in a container")
    run = run_fix(tmp_path, FIX, "apply", pid=threads[0])
    assert (run.code, run.result["message"].rpartition(": ")[2]) == (3, "it is part of the kernel")


def test_a_hostile_name_and_command_stay_text(tmp_path: Path) -> None:
    with sleeping(tmp_path, HOSTILE_NAME, "\x1b[31m\n{}") as hostile:
        run = run_fix(tmp_path, FIX, "plan", pid=hostile.pid)
        assert run.result["before"]["process"]["name"] == r"a\x0a" + '"' + r"\\xe2\x80\xae$(x)"
        assert len(run.said.splitlines()) == 4
