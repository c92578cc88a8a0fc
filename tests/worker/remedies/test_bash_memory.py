"""memory_high and process_memory_high, on processes that hold memory, and with limits."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.all_in_one import wait_until
from tests.worker.remedies.bash import run_fix
from tests.worker.remedies.machine import Machine
from tests.worker.remedies.processes import (
    HOARDER,
    LEAKER,
    SEALED,
    need_mounts,
    python,
    start_time,
    state_of,
    with_files,
)

MEBIBYTE = 1024 * 1024
GIBIBYTE_IN_KIB = 1024 * 1024
HELD = 30 * MEBIBYTE
ENDS = pytest.mark.parametrize(
    ("issue_type", "more"),
    [("process_memory_high", {}), ("memory_high", {"action": "terminate", "minimum_memory_percent": 1})],
)


@pytest.fixture
def hoarder() -> Iterator[subprocess.Popen[bytes]]:
    with python(HOARDER, "hoarder", HELD) as process:
        yield process


@pytest.fixture
def gibibyte(tmp_path: Path) -> list[str]:
    """The command that has what it runs take this for a machine with 1 GiB of memory, a quarter of it available."""
    return with_meminfo(tmp_path)


def with_meminfo(folder: Path, **kib: int) -> list[str]:
    values = {"MemTotal": GIBIBYTE_IN_KIB, "MemAvailable": GIBIBYTE_IN_KIB // 4, "SwapTotal": 0, "SwapFree": 0, **kib}
    (folder / "meminfo").write_text("".join(f"{name}: {value} kB\n" for name, value in values.items()))
    return with_files({"/proc/meminfo": folder / "meminfo"})


def small_memory(folder: Path) -> list[str]:
    """The command that has what it runs take this for a machine of which any process holds some percent."""
    return with_meminfo(folder, MemTotal=20 * 1024, MemAvailable=10 * 1024)


def named(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    return {"pid": process.pid, "start_time": start_time(process)}


def held_by(process: subprocess.Popen[bytes]) -> int:
    return int(psutil.Process(process.pid).memory_info().rss)


@ENDS
def test_a_process_that_holds_memory_is_planned_for_ended_and_verified(
    tmp_path: Path, gibibyte: list[str], hoarder: subprocess.Popen[bytes], issue_type: str, more: dict[str, Any]
) -> None:
    need_mounts()
    parameters, before, inside = {**named(hoarder), **more}, state_of(hoarder), [*gibibyte, *SEALED]
    plan = run_fix(tmp_path, issue_type, "plan", inside=inside, **parameters)
    assert plan.result["outcome"] == "planned"
    assert f"Would ask process {hoarder.pid} (hoarder) to end" in plan.said
    assert state_of(hoarder) == before
    run = run_fix(tmp_path, issue_type, "apply", inside=inside, **parameters)
    assert (run.code, run.result["outcome"]) == (0, "done")
    assert run.result["changed"] == [{"pid": hoarder.pid, "name": "hoarder", "action": "end"}]
    assert hoarder.wait(5) == -signal.SIGTERM
    assert run.result["before"]["process"]["memory_kib"] >= HELD // 1024
    assert run_fix(tmp_path, issue_type, "apply", **parameters).result["outcome"] == "nothing"
    assert run_fix(tmp_path, issue_type, "verify", inside=inside, **parameters).code == 0


@pytest.mark.parametrize("issue_type", ["memory_high", "process_memory_high"])
def test_a_plan_says_what_a_leaker_held_when_the_event_opened_and_holds_now(tmp_path: Path, issue_type: str) -> None:
    with python(LEAKER, "leaker") as leaker:
        then = held_by(leaker)
        wait_until(lambda: held_by(leaker) > then + 100 * MEBIBYTE, every=0.01)
        run = run_fix(tmp_path, issue_type, "plan", **named(leaker), memory_bytes=then)
    (sentence,) = re.findall(r"held (\d+) MiB when the event opened and holds (\d+) MiB now: (\d+) MiB more", run.said)
    held, holds, more = map(int, sentence)
    assert held == then // MEBIBYTE
    assert 100 <= more <= holds - held + 1


@pytest.mark.parametrize(
    ("total", "then", "code"), [(4 * HELD, None, 1), (8 * HELD, None, 0), (8 * HELD, HELD, 1), (4 * HELD, 3 * HELD, 0)]
)
def test_verify_holds_a_process_against_what_it_held_then_else_against_the_memory(
    tmp_path: Path, hoarder: subprocess.Popen[bytes], total: int, then: int | None, code: int
) -> None:
    need_mounts()
    more = {} if then is None else {"memory_bytes": then}
    inside = with_meminfo(tmp_path, MemTotal=total // 1024)
    assert run_fix(tmp_path, "process_memory_high", "verify", inside=inside, **named(hoarder), **more).code == code


def test_a_process_that_gave_most_of_it_back_is_left_alone(tmp_path: Path, hoarder: subprocess.Popen[bytes]) -> None:
    then = held_by(hoarder) * 3
    for mode in ("plan", "apply"):
        run = run_fix(tmp_path, "process_memory_high", mode, **named(hoarder), memory_bytes=then)
        assert (run.code, run.result["outcome"]) == (0, "nothing")
        assert "given back" in run.result["message"]
    assert hoarder.poll() is None


def test_a_process_that_holds_little_is_left_alone(
    tmp_path: Path, gibibyte: list[str], hoarder: subprocess.Popen[bytes]
) -> None:
    need_mounts()
    more = {"action": "terminate", "minimum_memory_percent": 10}
    run = run_fix(tmp_path, "memory_high", "apply", inside=gibibyte, **named(hoarder), **more)
    assert (run.code, run.result["outcome"]) == (0, "nothing")
    assert "of the memory, which is below 10 %" in run.result["message"]
    assert hoarder.poll() is None


@pytest.mark.parametrize("action", ["terminate", "restart"])
def test_what_is_to_be_ended_must_be_named(tmp_path: Path, action: str) -> None:
    run = run_fix(tmp_path, "memory_high", "plan", action=action)
    assert run.code == 2
    assert run.result["message"] == f"pid is needed to {action} a process: a whole number from 2 to 4194304"


def test_memory_high_only_reports_unless_it_is_told_otherwise(tmp_path: Path, hoarder: subprocess.Popen[bytes]) -> None:
    run = run_fix(tmp_path, "memory_high", "apply", **named(hoarder))
    assert (run.code, run.result["outcome"], run.result["changed"]) == (0, "nothing", [])
    assert len(run.result["before"]["processes"]) == 10
    assert hoarder.poll() is None


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Path]:
    """A control group that may use 256 MiB, of whichever version this machine has."""
    version_1, version_2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    base, limit = (version_1, "memory.limit_in_bytes") if version_1.exists() else (version_2, "memory.max")
    group = base / f"fleetmedic-{tmp_path.name}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group of one's own: {error}")
    try:
        (group / limit).write_text(str(256 * MEBIBYTE))
    except OSError as error:
        pytest.skip(f"control groups here limit no memory: {error}")
    yield group
    group.rmdir()


def within(group: Path) -> list[str]:
    """Return the command that has what it runs be in a control group."""
    return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)]


def test_in_a_limited_group_the_limit_of_the_group_counts(tmp_path: Path, limited: Path) -> None:
    inside = within(limited)
    with python(HOARDER, "hoarder", 236 * MEBIBYTE, inside=inside) as hoarder:
        parameters = {**named(hoarder), "action": "terminate"}
        verify = run_fix(tmp_path, "memory_high", "verify", inside=inside, **parameters)
        assert (verify.code, verify.result["before"]["total_kib"]) == (1, 256 * 1024)
        assert "of this control group's 256 MiB, not below 90 %" in verify.result["message"]
        run = run_fix(tmp_path, "memory_high", "apply", inside=inside, **parameters)
        assert (run.code, hoarder.wait(5)) == (0, -signal.SIGTERM)
        assert run.result["before"]["memory_percent"] > 90 > run.result["after"]["memory_percent"]
    assert run_fix(tmp_path, "memory_high", "verify", inside=inside, **parameters).code == 0


# As the group of a service whose slice has the limit, and as a container that sees itself by its path outside.
VERSION_2 = {
    "0::/a.slice/b.service\n": {
        "a.slice/memory.max": f"{64 * MEBIBYTE}\n",
        "a.slice/memory.high": "max\n",
        "a.slice/memory.current": f"{63 * MEBIBYTE}\n",
        "a.slice/memory.stat": f"anon {60 * MEBIBYTE}\ninactive_file {MEBIBYTE}\n",
        "a.slice/memory.swap.max": f"{32 * MEBIBYTE}\n",
        "a.slice/b.service/memory.max": "max\n",
    }
}
VERSION_1 = {
    "1:cpu:/docker/4711\n4:memory:/docker/4711\n0::/\n": {
        "memory/memory.limit_in_bytes": f"{64 * MEBIBYTE}\n",
        "memory/memory.usage_in_bytes": f"{63 * MEBIBYTE}\n",
        "memory/memory.stat": f"inactive_file 0\ntotal_inactive_file {MEBIBYTE}\n",
        "memory/memory.memsw.limit_in_bytes": f"{96 * MEBIBYTE}\n",
    }
}


@pytest.mark.parametrize("groups", [VERSION_2, VERSION_1])
def test_limits_and_their_swap_are_told_in_both_versions_of_control_groups(
    tmp_path: Path, groups: dict[str, dict[str, str]]
) -> None:
    need_mounts()
    ((path, files),) = groups.items()
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content)
    (tmp_path / "path").write_text(path)
    inside = with_files({"/sys/fs/cgroup": tmp_path / "groups", "/proc/$$/cgroup": tmp_path / "path"})
    run = run_fix(tmp_path, "memory_high", "verify", inside=inside)
    assert "This control group may use 64 MiB, and 32 MiB of swap; it uses 62 MiB beside file caches." in run.said
    assert run.result["message"] == "memory is still used at 96 % of this control group's 64 MiB, not below 90 %"


def test_swap_is_told_and_memory_is_what_is_not_available(tmp_path: Path) -> None:
    need_mounts()
    inside = with_meminfo(tmp_path, SwapTotal=2 * GIBIBYTE_IN_KIB, SwapFree=GIBIBYTE_IN_KIB // 2)
    run = run_fix(tmp_path, "memory_high", "plan", inside=inside)
    assert "Memory is used at 75 % of the machine's 1024 MiB." in run.said
    assert "Swap is used at 75 % of 2048 MiB." in run.said


@pytest.mark.parametrize(
    ("cached_kib", "outcomes", "written"),
    [(GIBIBYTE_IN_KIB // 2, ["planned", "done"], "3\n"), (GIBIBYTE_IN_KIB // 32, ["nothing", "nothing"], "")],
)
def test_caches_are_dropped_only_where_they_hold_much_of_the_memory(
    tmp_path: Path, cached_kib: int, outcomes: list[str], written: str
) -> None:
    need_mounts()
    (tmp_path / "drop").touch()
    inside = [
        *with_meminfo(tmp_path, Cached=cached_kib, SReclaimable=1024, Shmem=512, Dirty=512),
        *with_files({"/proc/sys/vm/drop_caches": tmp_path / "drop"}),
    ]
    plan = run_fix(tmp_path, "memory_high", "plan", inside=inside, drop_caches=True)
    assert ("Would have the kernel drop up to 512 MiB of caches" in plan.said) == bool(written)
    assert ("files are read from the disk" in plan.said) == bool(written)
    assert (tmp_path / "drop").read_text() == ""
    run = run_fix(tmp_path, "memory_high", "apply", inside=inside, drop_caches=True)
    assert [plan.result["outcome"], run.result["outcome"]] == outcomes
    assert (tmp_path / "drop").read_text() == written
    assert [change["action"] for change in run.result["changed"]] == ["drop_caches"] * bool(written)


def test_caches_are_not_dropped_where_the_kernel_is_not_ours(tmp_path: Path) -> None:
    need_mounts()
    run = run_fix(tmp_path, "memory_high", "apply", inside=SEALED, drop_caches=True)
    assert (run.code, run.result["outcome"]) == (3, "refused")
    assert "not in a container" in run.result["message"]


def test_the_service_that_a_hoarder_is_part_of_is_restarted_instead(
    tmp_path: Path, machine: Machine, gibibyte: list[str]
) -> None:
    service = machine.add_service(
        "hoarding.service", f"(head -c {HELD} /dev/zero; exec sleep 1000) | exec tail > /dev/null"
    )
    machine.run("systemctl", "start", service)
    wait_until(lambda: int(machine.run("ps", "-C", "tail", "-o", "rss=") or 0) * 1024 >= HELD)
    parameters = {"pid": int(machine.run("pgrep", "-x", "tail")), "minimum_memory_percent": 2}
    invocation, inside = machine.property_of(service, "InvocationID"), [*machine.inside, *gibibyte]
    plan = run_fix(tmp_path, "memory_high", "plan", inside=inside, action="terminate", **parameters)
    assert f"Milder: with the action restart {service}, which it is part of, would be restarted." in plan.said
    run = run_fix(tmp_path, "memory_high", "apply", inside=inside, action="restart", **parameters)
    assert (run.code, run.result["outcome"]) == (0, "done")
    assert run.result["changed"] == [
        {"pid": parameters["pid"], "name": "tail", "action": "restart", "service": service}
    ]
    assert machine.property_of(service, "ActiveState") == "active"
    assert machine.property_of(service, "InvocationID") != invocation
    machine.run("systemctl", "stop", service)


def test_a_service_that_others_depend_on_is_not_restarted_for_a_helper(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("containers.service", "sleep 1000 & printf dockerd > /proc/self/comm; wait")
    machine.run("systemctl", "start", service)
    main = machine.property_of(service, "MainPID")
    wait_until(lambda: machine.run("cat", f"/proc/{main}/comm") == "dockerd")
    wait_until(lambda: machine.run("pgrep", "-x", "-P", main, "sleep") != "")
    helper = int(machine.run("pgrep", "-x", "-P", main, "sleep"))
    inside = [*machine.inside, *small_memory(tmp_path)]
    more = {"action": "restart", "minimum_memory_percent": 1}
    run = run_fix(tmp_path, "memory_high", "apply", inside=inside, pid=helper, **more)
    assert (run.code, run.result["outcome"]) == (3, "refused")
    assert run.result["message"].startswith(f"{service} (dockerd) is left alone")
    assert machine.property_of(service, "MainPID") == main
    machine.run("systemctl", "stop", service)


SYSTEMCTL_219 = """#!/bin/sh
case " $* " in *' --value '*) echo "systemctl: unrecognized option '--value'" >&2; exit 1 ;; esac
exec /usr/bin/systemctl "$@"
"""


def test_what_a_service_runs_is_known_by_an_old_systemd_too(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("old-systemd.service", "sleep 1000 & printf mysqld > /proc/self/comm; wait")
    machine.run("systemctl", "start", service)
    main = machine.property_of(service, "MainPID")
    wait_until(lambda: machine.run("cat", f"/proc/{main}/comm") == "mysqld")
    wait_until(lambda: machine.run("pgrep", "-x", "-P", main, "sleep") != "")
    helper = int(machine.run("pgrep", "-x", "-P", main, "sleep"))
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "systemctl").write_text(SYSTEMCTL_219)
    (tmp_path / "programs" / "systemctl").chmod(0o755)
    inside = [*machine.inside, *small_memory(tmp_path), *with_files({"/usr/local/sbin": tmp_path / "programs"})]
    more = {"action": "restart", "minimum_memory_percent": 1}
    run = run_fix(tmp_path, "memory_high", "plan", inside=inside, pid=helper, **more)
    machine.run("systemctl", "stop", service)
    assert (run.code, run.result["message"]) == (3, f"{service} (mysqld) is left alone: it is a database")


def test_a_service_that_others_need_is_not_restarted(tmp_path: Path, machine: Machine) -> None:
    service = machine.add_service("needed-hoarder.service", "exec sleep 1000")
    needing = machine.add_service("needing-hoarder.service", "exec sleep 1000", unit=(f"Requires={service}",))
    machine.run("systemctl", "start", needing)
    run = machine.property_of(needing, "InvocationID")
    more = {"action": "restart", "minimum_memory_percent": 1, "pid": int(machine.property_of(service, "MainPID"))}
    refused = run_fix(tmp_path, "memory_high", "apply", inside=[*machine.inside, *small_memory(tmp_path)], **more)
    after = machine.property_of(needing, "InvocationID")
    machine.run("systemctl", "stop", needing, service)
    assert (refused.code, after) == (3, run)
    assert f"it would restart {needing} too, which runs" in refused.result["message"]


def test_a_process_that_is_part_of_no_service_is_not_restarted(
    tmp_path: Path, gibibyte: list[str], hoarder: subprocess.Popen[bytes]
) -> None:
    need_mounts()
    more = {"action": "restart", "minimum_memory_percent": 1}
    run = run_fix(tmp_path, "memory_high", "apply", inside=gibibyte, **named(hoarder), **more)
    assert (run.code, run.result["outcome"]) == (3, "refused")
    assert "part of no systemd service" in run.result["message"]
    assert hoarder.poll() is None
