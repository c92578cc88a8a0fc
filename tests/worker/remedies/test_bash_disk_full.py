"""The fix for a full filesystem, run over a /var of its own: each place that it cleans, and what it leaves alone."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.worker.remedies.bash import Run, run_fix
from tests.worker.remedies.filesystems import READ_ONLY, bound, change_unmounted, ext4, seen_as, set_times

OLD = time.time() - 30 * 86400
GOES = [
    "tmp/old",
    "tmp/below/old\n$(touch canary)",
    "tmp/-rf",
    "cache/apt/archives/one_1_all.deb",
    "cache/dnf/updates/packages/one.rpm",
    "log/syslog.2.gz",
    "log/messages-20260101",
    "log/app/server.log.1",
    "crash/linux-image.crash",
    "lib/systemd/coredump/core.app.zst",
    "spool/abrt/ccpp-1/coredump",
]
STAYS = {
    "tmp/.X0-lock": "is a lock",
    "tmp/daemon.pid": "is a pid file",
    "tmp/empty": "frees nothing",
    "tmp/one-name": "frees nothing, as it has another name",
    "tmp/read": "was read now",
    "cache/apt/archives/pkgcache.bin": "is no package",
    "log/syslog": "is no rotated log",
    "log/mysql/bin.000001": "is no rotated log",
    "log/audit/audit.log.1": "is evidence",
    "lib/app/data.log.1": "is in none of the places, though a link in one leads there",
    "grown/old.log.1": "is in none of the places, though its directory is named as growing",
    "crash/open": "is open",
    "crash/running": "is a program that runs",
    "crash/image": "is a loop device",
    "lib/bound/old": "is bound into one of the places from elsewhere on this filesystem",
}
STAYS_NEW = {
    "tmp/new": "is new",
    "tmp/unpacked": "came now, with an old time of change",
    "cache/apt/archives/two_1_all.deb": "was downloaded now",
    "log/syslog.1": "was rotated now",
    "crash/mounted/old": "is on another filesystem, that of one of the places",
}

State = Mapping[str, tuple[int, float, float]]


@dataclass(frozen=True)
class Story:
    """What became of a /var: planned where the kernel refuses every change, applied, verified, and applied again."""

    var: Path
    states: tuple[State, State]
    """Before and after the plan."""
    plan: Run
    apply: Run
    verify: Run
    again: Run


def write(file: Path, content: bytes = b"x" * 8192, at: float = OLD) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (at, at))
    return file


def state_of(folder: Path) -> State:
    """Return size, time of change and time of any change of all in a folder."""
    found = {str(path): path.lstat() for path in folder.rglob("*")}
    return {path: (one.st_size, one.st_mtime, one.st_ctime) for path, one in found.items()}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("disk_full")
    image, var = folder / "image", folder / "var"
    with ExitStack() as stack:
        stack.enter_context(ext4(image, var))
        for name in GOES:
            write(var / name, b"x" * 1024 * 1024)
        for name in STAYS:
            write(var / name, b"" if name == "tmp/empty" else b"x" * 8192)
        shutil.copy("/bin/sleep", var / "crash/running")
        os.link(var / "tmp/one-name", var / "lib/app/other-name")
        (var / "tmp/link").symlink_to("../lib/app")
        change_unmounted(image, var, *set_times((var / name for name in (*GOES, *STAYS)), OLD))
        stack.enter_context(ext4(folder / "other", var / "crash/mounted", 4))
        stack.enter_context(bound(var / "crash/mounted", var / "lib/apport/coredump"))
        for place in ("crash/bound", "crash/*[b] ?", "crash/bound\nhere"):
            stack.enter_context(bound(var / "lib/bound", var / place))
        for name in STAYS_NEW:
            write(var / name, at=time.time() if name in ("tmp/new", "log/syslog.1") else OLD)
        (var / "tmp/read").read_bytes()
        stack.enter_context((var / "crash/open").open("rb"))
        running = subprocess.Popen([var / "crash/running", "60"])
        stack.callback(running.wait)
        stack.callback(running.kill)
        loop = ["losetup", "--find", "--show", "--read-only", str(var / "crash/image")]
        device = subprocess.run(loop, capture_output=True, text=True, check=True).stdout.strip()
        stack.callback(subprocess.run, ["losetup", "--detach", device], check=True)

        def run(mode: str, *commands: str) -> Run:
            inside = seen_as("/var", var, *commands)
            return run_fix(folder, "disk_full", mode, inside=inside, mount="/var", directory="/var/grown")

        before = state_of(var)
        plan = run("plan", READ_ONLY)
        yield Story(var, (before, state_of(var)), plan, run("apply"), run("verify"), run("apply"))


def test_a_plan_changes_nothing_and_writes_nowhere(story: Story) -> None:
    assert (story.plan.code, story.plan.result["outcome"], story.plan.result["changed"]) == (0, "planned", [])
    assert story.states[0] == story.states[1]


@pytest.mark.parametrize("name", GOES)
def test_what_is_safe_to_remove_goes(story: Story, name: str) -> None:
    assert not (story.var / name).exists()


@pytest.mark.parametrize(("name", "reason"), [*STAYS.items(), *STAYS_NEW.items()])
def test_it_stays_what(story: Story, name: str, reason: str) -> None:
    assert (story.var / name).exists(), f"{name} {reason}"


def test_each_step_says_what_was_left_before_and_after_it(story: Story) -> None:
    assert (story.apply.code, story.apply.result["outcome"]) == (0, "done")
    left = story.apply.result["before"]["available_kib"]
    for step in story.apply.result["changed"]:
        assert step["available_kib_before"] == left
        left = step["available_kib_after"]
        assert left == step["available_kib_before"] + step["freed_kib"]
    assert story.apply.result["after"]["available_kib"] == left


def test_it_frees_what_was_planned(story: Story) -> None:
    freed = sum(step["freed_kib"] for step in story.apply.result["changed"])
    assert story.plan.result["after"]["would_free_kib"] == freed >= 11 * 1024
    for step in story.apply.result["changed"]:
        assert f"would remove {step['files']} {step['what']} below {step['root']}: " in story.plan.said


def test_applied_again_it_finds_nothing_to_do(story: Story) -> None:
    assert (story.verify.code, story.again.code) == (0, 0)
    assert (story.again.result["outcome"], story.again.result["changed"]) == ("nothing", [])


def test_what_is_left_alone_as_it_is_in_use_is_told(story: Story) -> None:
    assert "crash dumps below /var/crash: 3 in use, left alone" in story.plan.said
