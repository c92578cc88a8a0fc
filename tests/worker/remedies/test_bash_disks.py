"""The fixes for disks and services, on real files."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.remedies.bash import run_fix

OLD = time.time() - 30 * 86400
MEBIBYTE = b"x" * 1024 * 1024


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A small filesystem of its own."""
    folder = tmp_path / "mount"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "fleetmedic-test", str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def write(file: Path, at: float = OLD, content: bytes = MEBIBYTE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (at, at))
    return file


def test_a_filesystem_without_anything_safe_to_remove_is_only_measured(tmp_path: Path, mount: Path) -> None:
    big = write(mount / "a-big-file")
    plan = run_fix(tmp_path, "disk_full", "plan", mount=str(mount))
    assert (plan.code, plan.result["outcome"]) == (0, "nothing")
    assert str(big) in plan.said
    run = run_fix(tmp_path, "disk_full", "apply", mount=str(mount))
    assert (run.result["outcome"], run.result["changed"]) == ("nothing", [])
    assert big.exists()


def as_var_tmp(mount: Path) -> list[str]:
    """Return the command that has what it runs see the small filesystem as /var/tmp."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts of one's own cannot be had here, as in a chroot")
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /var/tmp && exec "$@"', str(mount)]


def test_only_old_files_below_a_safe_root_are_removed(tmp_path: Path, mount: Path) -> None:
    inside = as_var_tmp(mount)
    elsewhere = write(tmp_path / "elsewhere" / "old")
    old = write(mount / "old"), write(mount / "below" / "old\n$(x)"), write(mount / "-rf")
    kept = write(mount / "new", time.time()), write(mount / "in-use")
    (mount / "link").symlink_to(elsewhere.parent)
    (mount / "other").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "fleetmedic-test", str(mount / "other")], check=True)
    other = write(mount / "other" / "old")
    inside[4] = inside[4].replace("--bind", "--rbind")
    try:
        with kept[1].open("rb"):
            plan = run_fix(tmp_path, "disk_full", "plan", inside=inside, mount="/var/tmp")
            assert plan.result["outcome"] == "planned"
            assert all(file.exists() for file in old)
            run = run_fix(tmp_path, "disk_full", "apply", inside=inside, mount="/var/tmp")
            again = run_fix(tmp_path, "disk_full", "apply", inside=inside, mount="/var/tmp")
        assert (run.code, run.result["outcome"]) == (0, "done")
        (change,) = run.result["changed"]
        assert (change["files"], change["freed_kib"], change["root"]) == (3, 3 * 1024, "/var/tmp")
        assert not any(file.exists() for file in old)
        assert all(file.exists() for file in (*kept, elsewhere, other))
        assert run.result["after"]["available_kib"] == run.result["before"]["available_kib"] + 3 * 1024
        assert again.result["outcome"] == "nothing"
    finally:
        subprocess.run(["umount", "--lazy", str(mount / "other")], check=True)


def test_verify_measures_the_filesystem(tmp_path: Path, mount: Path) -> None:
    assert run_fix(tmp_path, "disk_full", "verify", mount=str(mount)).code == 0
    write(mount / "a-big-file", content=MEBIBYTE * 15)
    run = run_fix(tmp_path, "disk_full", "verify", mount=str(mount))
    assert (run.code, run.result["outcome"]) == (1, "failed")
    assert run.result["before"]["used_percent"] > 85


@pytest.mark.parametrize("name", ["$(touch canary)", "a\nb", "\u202eevil", "-rf", "'"])
def test_hostile_names_are_shown_as_text(tmp_path: Path, mount: Path, name: str) -> None:
    write(mount / name)
    run = run_fix(tmp_path, "disk_full", "plan", mount=str(mount))
    assert run.result["outcome"] == "nothing"
    assert not (tmp_path / "canary").exists()


def test_a_mount_that_is_none_or_a_link_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/")
    assert run_fix(tmp_path, "disk_full", "apply", mount=str(tmp_path / "none")).code == 2
    assert run_fix(tmp_path, "disk_full", "apply", mount=str(link)).code == 3


def test_disk_health_changes_nothing(tmp_path: Path) -> None:
    run = run_fix(tmp_path, "disk_health", "apply")
    assert (run.result["outcome"], run.result["changed"]) == ("nothing", [])
    assert run_fix(tmp_path, "disk_health", "verify").code in (0, 1)
