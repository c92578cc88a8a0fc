"""A snapshot of this machine, held against psutil read beside it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from collector.readers import Part, processes
from collector.readers.filesystems import Filesystems
from collector.readers.memory import Memory
from collector.snapshots import Sampler
from wire.metrics import CATALOGUE, unpack_core
from wire.snapshot import MAX_BODY_BYTES, Details, Directory, Filesystem, Process, decode_details, decode_snapshot

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def take(sampler: Sampler) -> tuple[dict[str, float], Details]:
    snapshot = decode_snapshot(sampler.take(time.time(), time.monotonic(), 5.0, ()))
    return unpack_core(snapshot.core), decode_details(snapshot.details)


def take_two(seconds: float = 0.3) -> tuple[dict[str, float], Details]:
    sampler = Sampler()
    take(sampler)
    time.sleep(seconds)
    return take(sampler)


@pytest.fixture
def burner() -> Iterator[psutil.Popen]:
    """A process that keeps one CPU busy."""
    with psutil.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process
        process.kill()


def test_values_agree_with_psutil_read_beside_them() -> None:
    core, details = take_two()
    memory = psutil.virtual_memory()
    assert core["memory_total_bytes"] == pytest.approx(memory.total)
    assert core["memory_percent"] == pytest.approx(memory.percent, abs=3)
    assert core["memory_available_bytes"] == pytest.approx(memory.available, rel=0.05)
    assert core["load_5"] == pytest.approx(psutil.getloadavg()[1], abs=0.5)
    assert core["processes"] == pytest.approx(len(psutil.pids()), abs=20)
    assert core["uptime_seconds"] == pytest.approx(time.time() - psutil.boot_time(), abs=5)
    assert core["collector_memory_bytes"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert details.cpu_count == psutil.cpu_count()
    root = next(one for one in details.filesystems if one.mount == "/")
    usage = psutil.disk_usage("/")
    assert root.size_bytes == usage.total
    assert root.used_percent == pytest.approx(usage.percent, abs=0.5)


def test_every_value_is_possible() -> None:
    core, _ = take_two()
    bounds = {metric.name: (metric.minimum, metric.maximum) for metric in CATALOGUE}
    assert {name: value for name, value in core.items() if not bounds[name][0] <= value <= bounds[name][1]} == {}


@linux_only
def test_on_linux_all_metrics_are_there_but_those_that_a_machine_may_lack() -> None:
    core, _ = take_two()
    missing = {metric.name for metric in CATALOGUE} - set(core)
    assert {name for name in missing if not name.startswith(("swap_", "temperature", "pressure_", "disk_"))} == set()


def test_the_collector_s_version_is_that_of_the_package() -> None:
    assert take(Sampler())[1].collector_version == metadata.version("fleetmedic")


def test_the_first_snapshot_has_no_rates() -> None:
    core, details = take(Sampler())
    rated = {metric.name for metric in CATALOGUE if metric.kind == "rate"} | {"cpu_percent", "process_cpu_max_percent"}
    assert rated & set(core) == set()
    assert details.processes_by_cpu == ()
    assert details.processes_by_memory


def by_pid(top: tuple[Process, ...], pid: int) -> Process:
    return next(process for process in top if process.pid == pid)


def test_a_burning_process_is_found_with_its_owner_and_command(burner: psutil.Popen) -> None:
    began, used = time.monotonic(), sum(burner.cpu_times()[:2])
    core, details = take_two(0.5)
    elapsed, used = time.monotonic() - began, sum(burner.cpu_times()[:2]) - used
    process = by_pid(details.processes_by_cpu, burner.pid)
    # What it got of a busy machine: as the kernel counts it, over a little longer than the two snapshots are apart.
    assert process.cpu_percent == pytest.approx(100 * used / elapsed, rel=0.5, abs=5)
    assert process.start_time == pytest.approx(burner.create_time(), abs=0.02)
    assert process.user == burner.username()
    assert process.command.endswith("-c while True: pass")
    assert core["process_cpu_max_percent"] >= process.cpu_percent / (psutil.cpu_count() or 1) * 0.99


def test_a_process_born_since_the_last_snapshot_is_rated_from_its_start() -> None:
    sampler = Sampler()
    take(sampler)
    began = time.monotonic()
    with psutil.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        deadline = time.monotonic() + 20
        while sum(burner.cpu_times()[:2]) < 0.2 and time.monotonic() < deadline:
            time.sleep(0.01)
        _, details = take(sampler)
        share_percent = 100 * 0.2 / (time.monotonic() - began)
        burner.kill()
    assert by_pid(details.processes_by_cpu, burner.pid).cpu_percent > share_percent / 2


def test_the_start_of_a_process_is_the_same_in_every_snapshot() -> None:
    sampler = Sampler()
    first, *later = [{one.pid: one.start_time for one in take(sampler)[1].processes_by_memory} for _ in range(3)]
    there = first.keys() & later[0].keys() & later[1].keys()
    assert there
    assert [{pid: starts[pid] for pid in there} for starts in later] == 2 * [{pid: first[pid] for pid in there}]


def until_it_runs(pid: int, program: Path) -> None:
    """Wait for the exec that follows the fork."""
    deadline = time.monotonic() + 20
    while psutil.Process(pid).exe() != str(program) and time.monotonic() < deadline:
        time.sleep(0.01)


@linux_only
def test_hostile_names_become_valid_text(tmp_path: Path) -> None:
    program = tmp_path.joinpath(os.fsdecode(b"\xff\x1b[31m evil\n"))
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        until_it_runs(process.pid, program)
        usage = next(one for one in processes.Scan().usages() if one.pid == process.pid)
        described = processes._describe(usage, 1.0, 1)
        process.kill()
    described.name.encode()
    described.command.encode()
    assert "evil" in described.name


def test_long_command_lines_are_cut() -> None:
    code = "print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, "y" * 5000], **pipes) as process:
        process.stdout.readline()
        usage = next(one for one in processes.Scan().usages() if one.pid == process.pid)
        described = processes._describe(usage, 1.0, 1)
        process.kill()
    assert len(described.command) == 512


@pytest.fixture
def small_tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of one mebibyte."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs root and mount(8)")
    yield tmp_path
    # Collectors of other tests may be looking at it.
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def filesystem(details: Details, mount: Path) -> Filesystem:
    return next(one for one in details.filesystems if one.mount == str(mount))


@linux_only
def test_a_filling_tmpfs_shows(small_tmpfs: Path) -> None:
    (small_tmpfs / "file").write_bytes(bytes(900 * 1024))
    core, details = take(Sampler())
    assert filesystem(details, small_tmpfs).used_percent == pytest.approx(88, abs=1)
    assert core["disk_percent"] >= filesystem(details, small_tmpfs).used_percent * 0.999


@linux_only
def test_a_nearly_full_tmpfs_shows_where_its_space_is(small_tmpfs: Path) -> None:
    (small_tmpfs / "logs").mkdir()
    (small_tmpfs / "logs" / "log").write_bytes(bytes(900 * 1024))
    sampler = Sampler()
    deadline = time.monotonic() + 20
    found: list[Directory] = []
    while not found and time.monotonic() < deadline:
        found = [one for one in take(sampler)[1].directories if one.mount == str(small_tmpfs)]
    assert (found[0].path, found[0].bytes) == (str(small_tmpfs / "logs"), pytest.approx(900 * 1024, rel=0.1))


@linux_only
def test_a_filesystem_that_turned_read_only_is_a_failing_disk_also_after_a_restart(small_tmpfs: Path) -> None:
    sampler = Sampler()
    assert take(sampler)[0]["disks_failing"] == 0
    subprocess.run(["mount", "-o", "remount,ro", small_tmpfs], check=True)
    for reading in (sampler, Sampler(sampler.writable)):
        core, details = take(reading)
        assert core["disks_failing"] == 1
        (health,) = [one for one in details.disk_health if one.failing]
        assert (health.subject, health.reason) == (str(small_tmpfs), "became read-only: it was read-write before")
    subprocess.run(["mount", "-o", "remount,rw", small_tmpfs], check=True)
    assert take(sampler)[0]["disks_failing"] == 0


def test_details_that_are_too_large_for_the_server_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = Filesystem("m" * MAX_BODY_BYTES, "/dev/sda", "ext4", 10.0, 5.0, 50.0)
    monkeypatch.setattr(Filesystems, "read", lambda self, at: Part({}, {"filesystems": (huge,)}))
    core, details = take(Sampler())
    assert "memory_percent" in core
    assert details == Details()


def test_a_reader_that_fails_leaves_its_values_out_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Memory, at: float) -> Part:
        raise PermissionError("no /proc here")

    fail.__qualname__ = Memory.read.__qualname__
    monkeypatch.setattr(Memory, "read", fail)
    sampler = Sampler()
    for _ in range(3):
        core, _ = take(sampler)
    assert "memory_percent" not in core
    assert "uptime_seconds" in core
    assert [record.message for record in caplog.records] == [
        "Memory.read cannot read this host, its values are left out: PermissionError: no /proc here"
    ]
