"""The fix that looks into a disk that fails: on real filesystems; SMART and the kernel's log are stand-ins."""

import fcntl
import os
import shlex
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.worker.remedies.bash import Run, run_fix
from tests.worker.remedies.filesystems import READ_ONLY, change_unmounted, device_of, ext4, make_read_only, seen_as

Look = Callable[..., Run]

PASSED = "SMART overall-health self-assessment test result: PASSED"
FAILED = "SMART overall-health self-assessment test result: FAILED!"
EXT4_IOC_SHUTDOWN = 0x8004587D


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Look in a mode at a machine with these answers of SMART (exit status and text, by disk), log and fstab."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def look(
        mode: str = "verify",
        *commands: str,
        smart: Mapping[str, tuple[int, str]] | None = None,
        kernel: str = "[Wed Nov 25 12:00:01 2026] usb 1-1: new device\n",
        fstab: str = "",
        **parameters: Any,
    ) -> Run:
        (tmp_path / "fstab").write_text(fstab)
        answers = [
            f"*' {disk}') printf '%s\\n' {shlex.quote(text)}; exit {code} ;;"
            for disk, (code, text) in (smart or {}).items()
        ]
        scan = "\n".join(f"{disk} -d scsi # {disk}, SCSI device" for disk in smart or {})
        stand_in(
            programs / "smartctl",
            f'echo "$*" >> {tmp_path}/asked',
            'case "$*" in',
            f"--scan) printf '%s\\n' {shlex.quote(scan)} ;;",
            *answers,
            "esac",
        )
        # Not every dmesg has the option.
        stand_in(programs / "dmesg", "[ $# = 0 ] || exit 1", f"printf '%s' {shlex.quote(kernel)}")
        stand_in(programs / "journalctl", "exit 0")
        inside = seen_as("/usr/local/sbin", programs, f"mount --bind {tmp_path}/fstab /etc/fstab", *commands)
        return run_fix(tmp_path, "disk_health", mode, inside=inside, **parameters)

    return look


def stand_in(program: Path, *lines: str) -> None:
    program.write_text("\n".join(["#!/bin/sh", *lines]))
    program.chmod(0o755)


def problems(run: Run) -> list[tuple[str, str]]:
    assert run.code == (1 if run.result["before"]["problems"] else 0)
    return [(one["subject"], one["problem"]) for one in run.result["before"]["problems"]]


def attribute(name: str, raw: str) -> str:
    return f"197 {name} 0x0033   100   100   010    Pre-fail  Always       -       {raw}"


SMART: list[tuple[int, str, str, list[str]]] = [
    (0, PASSED, "healthy", []),
    (0, "SMART Health Status: OK", "healthy", []),
    (8, FAILED, "failing", ["SMART says that it fails"]),
    (8, "SMART Health Status: FAILURE PREDICTION THRESHOLD EXCEEDED", "failing", ["SMART says that it fails"]),
    (16, PASSED, "failing", ["SMART has an attribute that foretells failure below its threshold"]),
    (32 + 64, PASSED, "healthy", []),
    (128, PASSED, "healthy", ["it failed a test of itself"]),
    (0, f"{PASSED}\n{attribute('Current_Pending_Sector', '8')}", "healthy", ["8 sectors of it cannot be read"]),
    (
        0,
        f"{PASSED}\n{attribute('Current_Pending_Sector', '4294967296')}",
        "healthy",
        ["4294967296 sectors of it cannot be read"],
    ),
    (0, f"{PASSED}\n{attribute('Current_Pending_Sector', '0')}", "healthy", []),
    (0, f"{PASSED}\n{attribute('Reallocated_Sector_Ct', '12')}", "healthy", []),
    (2, "Device is in STANDBY mode, exit(2)", "unknown", []),
    (4, "SMART overall-health self-assessment test result: UNKNOWN!", "unknown", []),
    (1, "\x1b[31m\u202e", "unknown", []),
]
"""Exit status and text of smartctl, what the disk is by that, and the problems."""


def test_what_smart_says_is_told(look: Look) -> None:
    disks = {f"/dev/sd{chr(ord('a') + number)}": row for number, row in enumerate(SMART)}
    run = look(smart={disk: (code, text) for disk, (code, text, _, _) in disks.items()})
    assert run.result["before"]["disks"] == [{"disk": disk, "smart": row[2]} for disk, row in disks.items()]
    assert [(disk, problem.partition(":")[0]) for disk, problem in problems(run)] == [
        (disk, problem) for disk, row in disks.items() for problem in row[3]
    ]


def test_the_figures_that_tell_of_wear_are_shown(look: Look) -> None:
    nvme = f"{PASSED}\nAvailable Spare:                    3%\nPercentage Used:                    101%"
    said = look(
        smart={"/dev/sda": (0, f"{PASSED}\n{attribute('Reallocated_Sector_Ct', '12')}"), "/dev/nvme0": (0, nvme)}
    ).said
    assert "    Reallocated_Sector_Ct: 12\n" in said
    assert "    Percentage Used:                    101%\n" in said


def test_disks_are_asked_only_for_what_they_know_and_never_woken_up(tmp_path: Path, look: Look) -> None:
    for mode in ("plan", "apply", "verify"):
        look(mode, smart={"/dev/sda": (0, PASSED), "/dev/$(touch canary)": (0, PASSED)})
    health = "--health --attributes --nocheck=standby --device=auto /dev/sda"
    assert (tmp_path / "asked").read_text().splitlines() == ["--scan", health] * 3


@pytest.mark.parametrize("mode", ["plan", "apply", "verify"])
def test_it_changes_nothing_and_needs_no_place_to_write_to(look: Look, mode: str) -> None:
    run = look(mode, READ_ONLY, smart={"/dev/sda": (8, FAILED)}, kernel="Buffer I/O error on dev sda1\n")
    assert (run.result["outcome"], run.result["changed"]) == ("failed" if mode == "verify" else "nothing", [])
    assert len(run.result["before"]["problems"]) == 2


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("defaults", "is read-only, and /etc/fstab says that it is not"),
        ("noatime,ro", None),
        (None, None),
    ],
)
def test_a_filesystem_that_is_read_only_is_held_against_fstab(
    tmp_path: Path, look: Look, options: str | None, found: str | None
) -> None:
    with ext4(tmp_path / "image", tmp_path / "a $(b)", 4) as mount:
        make_read_only(mount)
        run = look(fstab=f"UUID=1 {mount} ext4 {options} 0 2\n".replace("a $", r"a\040$") if options else "")
    assert [(place, problem.partition(" (")[0]) for place, problem in problems(run)] == (
        [(str(mount), found)] if found else []
    )


def test_a_mount_that_is_asked_for_is_not_well_while_it_is_read_only(tmp_path: Path, look: Look) -> None:
    with ext4(tmp_path / "image", tmp_path / "mount", 4) as mount:
        well = look(disk=str(mount))
        make_read_only(mount)
        run = look(disk=str(mount))
    assert (problems(well), [place for place, _ in problems(run)]) == ([], [str(mount)])


def test_a_filesystem_that_the_kernel_stopped_is_told_of(tmp_path: Path, look: Look) -> None:
    with ext4(tmp_path / "image", tmp_path / "mount", 4) as mount:
        folder = os.open(mount, os.O_RDONLY)
        fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", 2))
        os.close(folder)
        if (
            "shutdown"
            not in subprocess.run(["findmnt", "-no", "OPTIONS", mount], capture_output=True, text=True).stdout
        ):
            pytest.skip("this kernel does not tell of filesystems that it stopped")
        run = look()
    assert [(place, problem.partition(" (")[0]) for place, problem in problems(run)] == [
        (str(mount), "the kernel stopped it after an error")
    ]


def test_the_errors_that_ext4_counts_are_told_of_once(tmp_path: Path, look: Look) -> None:
    with ext4(tmp_path / "image", tmp_path / "mount", 4) as mount:
        change_unmounted(
            tmp_path / "image", mount, "set_super_value error_count 3", "set_super_value last_error_time 20260102030405"
        )
        run = look("verify", f"mount --bind {mount} /mnt")
    assert [(place, problem.partition(" (")[0]) for place, problem in problems(run)] == [
        (str(mount), "ext4 counts 3 errors since it was last checked")
    ]
    assert "2026-01-02 03:04:05" in run.said


@pytest.mark.parametrize(
    ("entry", "disk", "count"),
    [
        ("I/O error, dev sda, sector 2048 op 0x0:(READ)", None, 1),
        ("I/O error, dev sda, sector 2048 op 0x0:(READ)", "/dev/sda", 1),
        ("Buffer I/O error on dev sda1, logical block 0, async page read", "sda", 1),
        ("critical medium error, dev nvme0n1p2, sector 8", "/dev/nvme0n1", 1),
        ("EXT4-fs error (device sda1): ext4_lookup:1855: inode #2: bad", "/dev/sda", 1),
        ("XFS (sda1): Metadata corruption detected", "/dev/sda", 1),
        ("nvme nvme0: I/O 12 QID 3 timeout, aborting", None, 1),
        ("I/O error, dev sdaa, sector 2048", "/dev/sda", 0),
        ("I/O error, dev xsda, sector 2048", "/dev/sda", 0),
        ("I/O error, dev sdb, sector 2048", "/dev/sda", 0),
        ("nvme nvme0: Shutdown timeout set to 10 seconds", None, 0),
        ("EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro", None, 0),
    ],
)
def test_the_errors_of_the_kernel_s_log_are_counted(look: Look, entry: str, disk: str | None, count: int) -> None:
    run = look(
        kernel=f"[Wed Nov 25 12:00:00 2026] {entry}\n[Wed Nov 25 12:00:01 2026] usb 1-1: new device\n", disk=disk
    )
    found = [problem for _, problem in problems(run) if "kernel's log" in problem]
    assert found == [f"errors in the kernel's log since it booted: {count}"] * count
    assert (entry in run.said) == bool(count)


def test_a_mount_that_is_asked_for_has_the_disk_below_it_looked_at(tmp_path: Path, look: Look) -> None:
    with ext4(tmp_path / "image", tmp_path / "mount", 4) as mount:
        disk = device_of(mount)
        kernel = f"I/O error, dev {disk.removeprefix('/dev/')}, sector 1\nI/O error, dev sdz, sector 1\n"
        run = look(disk=str(mount), smart={disk: (8, FAILED), "/dev/sdz": (8, FAILED)}, kernel=kernel)
    assert run.result["before"]["disks"] == [{"disk": disk, "smart": "failing"}]
    assert [subject for subject, _ in problems(run)] == [disk, str(mount)]


@pytest.mark.parametrize("disk", ["/dev/sdzz", "sdzz", "/gone", "/dev/$(touch canary)\n"])
def test_a_disk_that_has_vanished_is_a_problem(look: Look, disk: str) -> None:
    ((_, problem),) = problems(look(disk=disk))
    assert problem.startswith("there is no such disk or mount")


def test_the_filesystems_of_other_disks_are_none_of_its_business(tmp_path: Path, look: Look) -> None:
    with (
        ext4(tmp_path / "image", tmp_path / "mount", 4) as mount,
        ext4(tmp_path / "more", tmp_path / "other", 4) as other,
    ):
        make_read_only(other)
        run = look(disk=device_of(mount), fstab=f"UUID=1 {other} ext4 defaults 0 2\n")
    assert run.result["before"]["problems"] == []


def test_the_kernel_s_log_is_shown_as_text(look: Look) -> None:
    said = look(kernel="I/O error on dev sda \x1b[2J\u202e\n").said
    assert "I/O error on dev sda \\x1b[2J\\xe2\\x80\\xae" in said


def test_a_kernel_s_log_that_is_empty_was_not_read(look: Look) -> None:
    run = look(kernel="")
    assert run.result["before"]["unseen"] == "the kernel's log"
    assert "none since it booted" not in run.said


def test_a_disk_that_does_not_answer_is_not_called_well(tmp_path: Path, look: Look) -> None:
    with ext4(tmp_path / "image", tmp_path / "mount", 4) as mount:
        disk = device_of(mount)
        run = look(disk=disk, smart={disk: (2, "Device is in STANDBY mode, exit(2)")})
    assert (run.code, run.result["before"]["problems"]) == (1, [])
    assert run.result["message"] == f"no problem was found, but not all could be read: SMART of {disk}"
