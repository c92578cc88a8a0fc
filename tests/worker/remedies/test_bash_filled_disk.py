"""The fix for a full filesystem, on small ones that are filled: whether it helps, and what it tells of them."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.worker.remedies.bash import TEMPLATES, render_fix, run_fix
from tests.worker.remedies.filesystems import bound, ext4, overlay, public_folder, seen_as, tmpfs

MEBIBYTE = b"x" * 1024 * 1024
OLD = time.time() - 30 * 86400


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 16 MiB and 5,000 inodes."""
    with tmpfs(tmp_path / "mount", "size=16m,nr_inodes=5000"):
        yield tmp_path / "mount"


@pytest.fixture
def as_log(mount: Path) -> Sequence[str]:
    """The command that has what it runs see it as /var/log."""
    return seen_as("/var/log", mount)


def write(file: Path, content: bytes = MEBIBYTE, at: float = OLD) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (at, at))
    return file


def test_a_filled_filesystem_has_room_again(tmp_path: Path, mount: Path, as_log: Sequence[str]) -> None:
    rotated = [write(mount / f"app.log.{number}") for number in range(1, 15)]
    current = write(mount / "app.log", at=time.time())
    full = run_fix(tmp_path, "disk_full", "verify", inside=as_log, mount="/var/log")
    run = run_fix(tmp_path, "disk_full", "apply", inside=as_log, mount="/var/log")
    fixed = run_fix(tmp_path, "disk_full", "verify", inside=as_log, mount="/var/log")
    assert [(full.code, full.result["before"]["used_percent"]), run.code] == [(1, 94), 0]
    assert (run.result["before"]["available_kib"], run.result["after"]["available_kib"]) == (1024, 15 * 1024)
    assert (fixed.code, fixed.result["before"]["used_percent"]) == (0, 7)
    assert not any(file.exists() for file in rotated)
    assert current.exists()


def test_a_filesystem_out_of_inodes_loses_empty_files_too(tmp_path: Path, mount: Path, as_log: Sequence[str]) -> None:
    for number in range(4500):
        write(mount / f"{number}.old", b"")
    run = run_fix(tmp_path, "disk_full", "apply", inside=as_log, mount="/var/log")
    assert (run.code, run.result["changed"][0]["files"]) == (0, 4500)
    assert (run.result["before"]["inodes_percent"] > 85, run.result["after"]["inodes_percent"]) == (True, 1)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_killed_half_way_it_leaves_nothing_broken(
    tmp_path: Path, mount: Path, as_log: Sequence[str], by: signal.Signals
) -> None:
    current = write(mount / "app.log", b"current\n")
    rotated = [write(mount / f"{number % 50}" / f"{number}.gz", b"rotated\n") for number in range(3500)]
    script = render_fix(tmp_path, "disk_full", mount="/var/log")
    command = [*as_log, "bash", str(script), "apply"]
    free = os.statvfs(mount).f_ffree
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        said = iter(process.stdout)
        assert any(line.startswith("removing 3500 rotated logs") for line in said)
        while os.statvfs(mount).f_ffree == free and process.poll() is None:
            pass
        os.killpg(process.pid, by)
        last = [*said, ""][-1 if by == signal.SIGKILL else -2]
    assert by == signal.SIGKILL or '"outcome":"failed"' in last
    assert current.read_bytes() == b"current\n"
    assert {file.read_bytes() for file in rotated if file.exists()} <= {b"rotated\n"}
    again = run_fix(tmp_path, "disk_full", "apply", inside=as_log, mount="/var/log")
    assert (again.code, any(file.exists() for file in rotated)) == (0, False)


@pytest.mark.parametrize("issue_type", ["disk_full", "disk_health"])
def test_it_has_no_here_document_which_older_ones_of_bash_put_into_a_file(issue_type: str) -> None:
    assert "<<" not in TEMPLATES[issue_type].scripts["bash"]


def test_it_needs_no_room_itself(tmp_path: Path, mount: Path) -> None:
    write(mount / "log" / "app.log.1")
    space = os.statvfs(mount)
    write(mount / "filler", b"x" * space.f_bavail * space.f_bsize)
    with pytest.raises(OSError, match="No space"):
        write(mount / "more")
    inside = seen_as("/tmp", mount, "mount --rbind /tmp/log /var/log", "export TMPDIR=/tmp")
    with public_folder() as folder:
        script = render_fix(folder, "disk_full", mount="/tmp").read_text()
    run = subprocess.run([*inside, "bash", "-c", script, "fix.sh", "apply"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert '"outcome":"done"' in run.stdout


def test_what_cannot_be_removed_is_named_and_makes_it_fail(tmp_path: Path) -> None:
    with ext4(tmp_path / "image", tmp_path / "mount", 4) as mount:
        file = write(mount / "app.log.1")
        subprocess.run(["chattr", "+i", str(file)], check=True)
        run = run_fix(tmp_path, "disk_full", "apply", inside=seen_as("/var/log", mount), mount="/var/log")
        subprocess.run(["chattr", "-i", str(file)], check=True)
    assert (run.code, run.result["changed"][0]["freed_kib"]) == (1, 0)
    assert "not all could be removed: /var/log" in run.result["message"]


def test_another_user_removes_only_what_is_his(mount: Path, as_log: Sequence[str]) -> None:
    his, others = write(mount / "his" / "app.log.1"), write(mount / "app.log.1")
    for path in (his, his.parent):
        os.chown(path, 65534, 65534)
    inside = [*as_log, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with public_folder() as folder:
        run = run_fix(folder, "disk_full", "apply", inside=inside, mount="/var/log")
    assert (run.code, run.result["changed"][0]["files"]) == (0, 1)
    assert (his.exists(), others.exists()) == (False, True)


def test_it_tells_how_the_directory_that_grew_has_grown_since_and_leaves_it(tmp_path: Path, mount: Path) -> None:
    grown = mount / "var $(touch canary)\n"
    kept = [write(grown / f"{number}.log.1") for number in range(5)]
    parameters = {"mount": str(mount), "directory": str(grown), "directory_bytes": 2.0 * 1024 * 1024}
    plan = run_fix(tmp_path, "disk_full", "plan", **parameters)
    run = run_fix(tmp_path, "disk_full", "apply", **parameters)
    assert "it held 2 MiB then, and holds 5 MiB now: +3 MiB" in plan.said
    assert (run.result["before"]["directory"]["then_kib"], run.result["before"]["directory"]["now_kib"]) == (2048, 5120)
    assert (run.result["outcome"], all(file.exists() for file in kept)) == ("nothing", True)


@pytest.mark.parametrize("what", ["gone", "elsewhere", "link"])
def test_a_directory_that_is_none_of_the_filesystem_any_more_is_only_told_of(
    tmp_path: Path, mount: Path, what: str
) -> None:
    (mount / "link").symlink_to(mount)
    (tmp_path / "elsewhere").mkdir()
    directory = str(tmp_path / what if what == "elsewhere" else mount / what)
    plan = run_fix(tmp_path, "disk_full", "plan", mount=str(mount), directory=directory)
    assert (plan.code, "directory" in plan.result["before"]) == (0, False)
    assert "it is no directory of this filesystem now" in plan.said


def test_who_holds_the_room_of_files_that_are_removed_is_named(tmp_path: Path, mount: Path) -> None:
    file = write(mount / "removed", MEBIBYTE * 3)
    with file.open("rb"):
        file.unlink()
        plan = run_fix(tmp_path, "disk_full", "plan", mount=str(mount))
    assert f"(pid {os.getpid()}): they go when it ends" in plan.said


@pytest.mark.parametrize("name", ["$(touch canary)", "a\nb", "\u202eevil", "-rf", "'"])
def test_what_takes_the_most_room_is_listed_as_text(tmp_path: Path, mount: Path, name: str) -> None:
    write(mount / name)
    plan = run_fix(tmp_path, "disk_full", "plan", mount=str(mount))
    shown = "".join(char if char.isascii() else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in name)
    assert f"         1  {mount}/{shown.replace(chr(10), '?')}\n" in plan.said
    assert (plan.result["outcome"], (tmp_path / "canary").exists()) == ("nothing", False)


def test_the_oldest_of_a_large_journal_goes(tmp_path: Path) -> None:
    machine = Path("/etc/machine-id")
    if not shutil.which("journalctl") or not machine.exists():
        pytest.skip("there is no journalctl, or the machine has no id")
    with tmpfs(tmp_path / "mount", "size=64m") as mount:
        folder = mount / "journal" / machine.read_text().strip()
        archived = [
            write(folder / f"system@{'a' * 32}-{number:016x}-{number:016x}.journal", MEBIBYTE * 8)
            for number in range(1, 5)
        ]
        elsewhere = tmp_path / "run" / "log" / "journal" / folder.name
        elsewhere.mkdir(parents=True)
        for file in archived:
            shutil.copy(file, elsewhere)
        parameters = {"mount": "/var/log", "journal_keep_mebibytes": 16}
        inside = [*seen_as("/var/log", mount), *seen_as("/run", tmp_path / "run")]
        plan = run_fix(tmp_path, "disk_full", "plan", inside=inside, **parameters)
        planned = [file.exists() for file in archived]
        run = run_fix(tmp_path, "disk_full", "apply", inside=inside, **parameters)
        left = [file.exists() for file in archived]
    assert "at most 16 of its 32 MiB" in plan.said
    assert planned == [True, True, True, True]
    assert left == [False, False, True, True]
    assert len([*elsewhere.iterdir()]) == 4
    assert (run.code, run.result["changed"][0]["freed_kib"]) == (0, 16 * 1024)


def test_what_containers_left_goes_when_asked_and_old(tmp_path: Path, mount: Path) -> None:
    if not shutil.which("podman"):
        pytest.skip("there is no podman here")
    inside = seen_as("/var/lib/containers", mount, "mount -t tmpfs fleetmedic-test /run")

    def podman(*arguments: str) -> str:
        done = subprocess.run([*inside, "podman", *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "content").write_bytes(MEBIBYTE * 2)
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY content /\n")
    old = podman("build", "--quiet", "--timestamp=0", ".").strip()
    new = podman("build", "--quiet", "--no-cache", ".").strip()
    podman("create", "--name", "stopped-now", new, "/content")

    parameters = {"mount": "/var/lib/containers", "include_containers": True}
    unasked = run_fix(tmp_path, "disk_full", "apply", inside=inside, mount="/var/lib/containers")
    elsewhere = run_fix(tmp_path, "disk_full", "apply", inside=inside, **parameters | {"mount": "/dev/shm"})
    plan = run_fix(tmp_path, "disk_full", "plan", inside=inside, **parameters)
    before = podman("images", "--quiet", "--no-trunc")
    run = run_fix(tmp_path, "disk_full", "apply", inside=inside, **parameters)
    assert (unasked.result["outcome"], old in before) == ("nothing", True)
    assert "what podman keeps is on another filesystem, and left alone" in elsewhere.said
    assert "stopped-now: Created" in plan.said
    assert (run.code, run.result["changed"][0]["freed_kib"] >= 2048) == (0, True)
    assert podman("images", "--quiet", "--no-trunc").strip() == f"sha256:{new}"
    assert podman("ps", "--all", "--format={{.Names}}").strip() == "stopped-now"


DOCKER = """#!/bin/sh
case $1 in
  info) echo "$(cat "$0.host") /var/log" ;;
  system) echo "$*" >> "$0.asked" ;;
esac
"""


def test_containers_are_those_of_this_machine_and_not_of_one_that_docker_reaches(
    tmp_path: Path, mount: Path, as_log: Sequence[str]
) -> None:
    programs = tmp_path / "programs"
    write(programs / "docker", DOCKER.encode()).chmod(0o755)
    inside = [*as_log, *seen_as("/usr/local/sbin", programs)]
    parameters = {"mount": "/var/log", "include_containers": True}
    (programs / "docker.host").write_text("elsewhere")
    elsewhere = run_fix(tmp_path, "disk_full", "apply", inside=inside, **parameters)
    (programs / "docker.host").write_text(os.uname().nodename)
    here = run_fix(tmp_path, "disk_full", "apply", inside=inside, **parameters)
    assert "what docker reaches is the machine elsewhere, and left alone" in elsewhere.said
    assert (elsewhere.result["outcome"], here.result["outcome"]) == ("nothing", "done")
    assert (programs / "docker.asked").read_text() == "system prune --force --filter until=168h\n"


# A container in which root may not look at what others have open, as is usual, and another user has a file open.
CONTAINER = [
    *("setpriv", "--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace", "unshare", "--pid", "--fork", "--mount-proc"),
    *("bash", "-c"),
    """setpriv --reuid=65534 --clear-groups sleep 60 < /var/log/his.log.1 &
    until [ "$(stat -c %u /proc/$!)" = 65534 ]; do sleep 0.01; done
    "$0" "$@" """,
]


def test_where_it_cannot_be_seen_what_a_user_has_open_his_files_stay(
    tmp_path: Path, mount: Path, as_log: Sequence[str]
) -> None:
    his, roots = write(mount / "his.log.1"), write(mount / "app.log.1")
    os.chown(his, 65534, 65534)
    run = run_fix(tmp_path, "disk_full", "apply", inside=[*as_log, *CONTAINER], mount="/var/log")
    assert (his.exists(), roots.exists()) == (True, False)
    assert "what they have open cannot be seen: 65534)" in run.said


def test_nothing_is_removed_where_it_cannot_be_told_in_time_what_is_open(
    tmp_path: Path, mount: Path, as_log: Sequence[str]
) -> None:
    programs, kept = tmp_path / "programs", write(mount / "app.log.1")
    write(programs / "timeout", b'#!/bin/sh\ncase $2 in find) exit 124 ;; esac\nshift\nexec "$@"\n').chmod(0o755)
    inside = [*as_log, *seen_as("/usr/local/sbin", programs)]
    run = run_fix(tmp_path, "disk_full", "apply", inside=inside, mount="/var/log")
    assert (run.code, kept.exists()) == (1, True)
    assert "could not be told" in run.result["message"]


def test_a_file_of_terabytes_is_told_in_full(tmp_path: Path, mount: Path, as_log: Sequence[str]) -> None:
    code = b"#!/bin/sh\ncase $* in '/var/log '*%p*) printf '5:5 8589934592 /var/log/a.gz\\0' ;; esac\n"
    write(tmp_path / "programs" / "find", code).chmod(0o755)
    inside = [*as_log, *seen_as("/usr/local/sbin", tmp_path / "programs")]
    plan = run_fix(tmp_path, "disk_full", "plan", inside=inside, mount="/var/log")
    assert "   4194304  /var/log/a.gz\n" in plan.said


def test_what_is_open_stays_in_an_overlay_of_several_filesystems_too(tmp_path: Path, mount: Path) -> None:
    with tmpfs(tmp_path / "lower") as lower:
        write(lower / "open.log.1")
        write(lower / "closed.log.1")
        for name in ("upper", "work"):
            (mount / name).mkdir()
        with overlay(tmp_path / "overlay", f"lowerdir={lower},upperdir={mount}/upper,workdir={mount}/work") as folder:
            with (folder / "open.log.1").open("rb"):
                run = run_fix(tmp_path, "disk_full", "apply", inside=seen_as("/var/log", folder), mount="/var/log")
            left = [path.name for path in folder.iterdir()]
    assert (run.code, left) == (0, ["open.log.1"])


def test_a_mount_that_does_not_answer_is_named(tmp_path: Path) -> None:
    write(tmp_path / "programs" / "timeout", b"#!/bin/sh\nexit 143\n").chmod(0o755)
    inside = seen_as("/usr/local/sbin", tmp_path / "programs")
    run = run_fix(tmp_path, "disk_full", "plan", inside=inside, mount="/mnt")
    assert (run.code, run.result["message"]) == (1, "mount: /mnt does not answer")


def test_what_is_bound_below_a_place_is_left_alone_though_a_link_leads_to_the_place(tmp_path: Path) -> None:
    with ext4(tmp_path / "image", tmp_path / "var", 4) as var:
        gone, kept = write(var / "real" / "coredump" / "core"), write(var / "kept" / "core")
        (var / "lib").mkdir()
        (var / "lib" / "systemd").symlink_to("../real")
        with bound(var / "kept", var / "real" / "coredump" / "bound"):
            run = run_fix(tmp_path, "disk_full", "apply", inside=seen_as("/var", var), mount="/var")
        assert (run.code, gone.exists(), kept.exists()) == (0, False, True)


@pytest.mark.parametrize(
    ("parameters", "code", "complaint"),
    [
        ({"mount": "/no/such"}, 2, "mount: there is no directory /no/such"),
        ({"mount": "/proc"}, 1, "mount: the filesystem of /proc has no size"),
        ({"mount": "/proc/self/cwd"}, 3, "mount: /proc/self/cwd is a link"),
    ],
)
def test_a_mount_that_is_none_is_refused(tmp_path: Path, parameters: dict[str, str], code: int, complaint: str) -> None:
    run = run_fix(tmp_path, "disk_full", "apply", **parameters)
    assert (run.code, run.result["message"].startswith(complaint)) == (code, True)
