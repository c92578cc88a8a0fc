import json
from pathlib import Path

import pytest

from collector.readers.disk_health import DiskHealths, fstab_writable, read_only_verdicts
from collector.readers.smart import parse_health, parse_scan
from wire.snapshot import DiskHealth, Filesystem


def filesystem(mount: str, *, read_only: bool) -> Filesystem:
    return Filesystem(mount, "/dev/sdb1", "ext4", 100.0, 50.0, 50.0, read_only=read_only)


FSTAB = r"""
# a comment
/dev/sdb1 /data ext4 rw,noatime 0 2
UUID=1-2 /mnt/my\040disk ext4 defaults 0 2
/dev/sr0 /media/cd iso9660 ro,user 0 0
broken line
"""


def test_the_mounts_that_fstab_wants_read_write() -> None:
    assert fstab_writable(FSTAB) == {"/data", "/mnt/my disk"}


@pytest.mark.parametrize(
    ("one", "fstab", "past", "failing"),
    [
        (filesystem("/data", read_only=True), {"/data"}, set(), True),
        (filesystem("/data", read_only=True), set(), {("/dev/sdb1", "/data")}, True),
        (filesystem("/data", read_only=True), set(), {("/dev/sdc1", "/data")}, False),  # another disk now
        (filesystem("/data", read_only=True), set(), set(), False),
        (filesystem("/data", read_only=False), {"/data"}, {("/dev/sdb1", "/data")}, False),
    ],
)
def test_read_only_though_meant_to_be_writable(
    one: Filesystem, fstab: set[str], past: set[tuple[str, str]], failing: bool
) -> None:
    assert [verdict.failing for verdict in read_only_verdicts([one], fstab, past)] == [True] * failing


def test_a_filesystem_that_turns_read_only_fails_and_recovers() -> None:
    health = DiskHealths()
    counts = [
        health.read(float(at), [filesystem("/no/such/mount", read_only=read_only)]).core["disks_failing"]
        for at, read_only in enumerate([False, True, False])
    ]
    assert counts == [0, 1, 0]


def test_the_fstab_of_a_container_s_host_is_read_where_it_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "fstab").write_text(FSTAB)
    health = DiskHealths(root=str(tmp_path))
    assert health.read(0.0, [filesystem("/data", read_only=True)]).core["disks_failing"] == 1


def answer(**fields: object) -> bytes:
    """What smartctl 7.4 prints with --json, as far as it is read."""
    return json.dumps({"json_format_version": [1, 0], "device": {"name": "/dev/sda"}, **fields}).encode()


@pytest.mark.parametrize(
    ("output", "exit_status", "expected"),
    [
        pytest.param(answer(smart_status={"passed": True}), 0, False, id="healthy"),
        pytest.param(answer(smart_status={"passed": False}), 8, True, id="failing"),
        pytest.param(answer(), 8, True, id="failing by its exit status"),
        pytest.param(answer(smart_status={"passed": True}), 16, True, id="an attribute below its threshold"),
        pytest.param(answer(smart_status={"passed": True}), 32 + 64 + 128, False, id="errors of the past"),
        pytest.param(answer(smart_status={"passed": True}), 4, False, id="another command failed"),
        pytest.param(answer(), 2, None, id="asleep, or not permitted"),
        pytest.param(answer(), 1, None, id="an option that this version does not know"),
        pytest.param(answer(smart_status="?"), 0, None, id="a shape nobody knows"),
        pytest.param(b"[1]", 0, None, id="no object"),
        pytest.param(b"", 0, None, id="no answer in time"),
        pytest.param(b"\xff{", 0, None, id="no JSON"),
    ],
)
def test_what_smartctl_says_of_a_disk(output: bytes, exit_status: int, expected: bool | None) -> None:
    health = parse_health("/dev/sda", output, exit_status)
    assert (health.failing if health else None) == expected
    assert health is None or (health.subject == "/dev/sda" and bool(health.reason) == health.failing)


def test_the_disks_that_a_scan_finds() -> None:
    devices = [
        {"name": "/dev/sda", "info_name": "/dev/sda", "type": "scsi", "protocol": "SCSI"},
        {"name": "/dev/nvme0", "info_name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
        {"name": "/dev/bus/0", "type": "megaraid,3"},
        {"name": 7},
    ]
    assert parse_scan(answer(devices=devices)) == [
        ("/dev/sda", "auto"),
        ("/dev/nvme0", "nvme"),
        ("/dev/bus/0", "megaraid,3"),
    ]
    assert parse_scan(answer()) == parse_scan(b"") == []


def test_a_healthy_disk_is_no_failing_one() -> None:
    assert parse_health("/dev/sda", answer(smart_status={"passed": True}), 0) == DiskHealth("/dev/sda", False)
