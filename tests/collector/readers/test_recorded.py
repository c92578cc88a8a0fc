"""The parsers of /proc on what a kernel gave once, and on what other machines give."""

import os
import sys
import time
from pathlib import Path

import pytest

from collector.rates import Reading, rates, shares_percent
from collector.readers import cpu, disks, filesystems, memory, network, pressure, processes, sensors
from collector.readers.filesystems import chosen, parse_mountinfo

RECORDED = Path(__file__).parent.parent / "recorded"


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def test_cpu_times_of_a_recorded_kernel() -> None:
    times, context_switches = cpu.parse_stat(recorded("stat"))
    later, _ = cpu.parse_stat(recorded("stat_2s_later"))
    assert set(times) == {"cpu", "cpu0", "cpu1"}
    assert context_switches == 1527743
    shares = shares_percent(times["cpu"], later["cpu"], idle=2)
    assert shares
    assert sum(shares) == pytest.approx(100)


def test_a_cpu_that_goes_offline_and_comes_back_makes_no_spike() -> None:
    before = {"cpu": (10.0, 1.0, 0.0, 90.0, 0.0), "cpu1": (10.0, 1.0, 0.0, 90.0, 0.0)}
    offline = {"cpu": (11.0, 1.0, 0.0, 91.0, 0.0)}
    back = {"cpu": (12.0, 1.0, 0.0, 92.0, 0.0), "cpu1": (0.0, 0.0, 0.0, 1.0, 0.0)}
    assert cpu._shares(before, offline)["cpu_percent"] == pytest.approx(50)
    assert "cpu_core_max_percent" not in cpu._shares(offline, back)


def test_a_stat_cut_short_is_an_error_and_no_crash() -> None:
    with pytest.raises(ValueError, match=r"ctxt|unpack"):
        cpu.parse_stat(recorded("stat")[:100])


def test_disk_counters_are_in_bytes_and_seconds() -> None:
    vda = disks.parse_diskstats(recorded("diskstats"))["vda"]
    fields = next(line.split() for line in recorded("diskstats").splitlines() if b" vda " in line)
    assert vda == (
        int(fields[5]) * 512,
        int(fields[9]) * 512,
        int(fields[3]),
        int(fields[7]),
        int(fields[12]) / 1000,
    )


def test_interface_counters() -> None:
    counters = network.parse_net_dev(recorded("net_dev"))
    assert set(counters) == {"lo", "ifb0", "ifb1", "eth0"}
    assert counters["eth0"] == (462820640, 1076081, 0, 0)


def test_an_interface_with_a_colon_in_its_name_is_read() -> None:
    text = b"a\nb\neth0:1: 1 0 2 3 0 0 0 0 4 0 5 6 0 0 0 0\n"
    assert network.parse_net_dev(text) == {"eth0:1": (1, 4, 7, 9)}


def test_tcp_counters() -> None:
    established, retransmitted = network.parse_snmp(recorded("snmp"))
    assert established >= 0
    before, now = Reading(0, {"tcp": (retransmitted,)}), Reading(2, {"tcp": (retransmitted + 6,)})
    assert rates(before, now) == {"tcp": (3.0,)}


def test_pressure_reads_the_line_some() -> None:
    assert pressure.parse_pressure(
        b"some avg10=1.53 avg60=0.87 avg300=0.26 total=2500000\nfull avg10=9.0 avg60=9.0 avg300=9.0 total=9\n"
    ) == (1.53, 2.5)
    average, stalled_seconds = pressure.parse_pressure(recorded("pressure_io"))
    assert 0 <= average <= 100
    assert stalled_seconds > 0


def test_memory_of_a_recorded_kernel() -> None:
    sizes = memory.parse_meminfo(recorded("meminfo"))
    assert sizes == memory.Sizes(24683656 * 1024, 21167492 * 1024, 0, 0)


def test_swap_in_use_is_what_is_not_free() -> None:
    meminfo = b"MemTotal: 1000 kB\nMemAvailable: 600 kB\nSwapCached: 5 kB\nSwapTotal: 100 kB\nSwapFree: 70 kB\n"
    assert memory.parse_meminfo(meminfo) == memory.Sizes(1000 * 1024, 600 * 1024, 100 * 1024, 30 * 1024)


def test_a_container_has_no_more_available_than_it_has() -> None:
    meminfo = b"MemTotal: 1000 kB\nMemAvailable: 64000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    assert memory.parse_meminfo(meminfo).available == 1000 * 1024


def test_a_meminfo_without_what_is_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        memory.parse_meminfo(recorded("meminfo")[:30])


def test_what_moved_to_and_from_swap() -> None:
    vmstat = b"nr_free_pages 823227\npgpgin 7519633\npswpin 3\npswpout 5\npgfree 54021962\n"
    assert memory.parse_vmstat(vmstat, page_bytes=4096) == (3 * 4096, 5 * 4096)


def test_a_process_may_have_any_name() -> None:
    stat = (
        b"42 (a) R 1 ) (x) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1234 1000 77 18446744073709551615 1 1"
    )
    usage = processes.parse_stat(stat, ticks_per_second=100, page_bytes=4096)
    assert usage == processes.Usage(42, 12.34, 3.0, 77 * 4096, 3, b"a) R 1 ) (x")


@pytest.mark.parametrize(
    ("usage", "before", "expected"),
    [
        # (started, CPU seconds), what was known 10 s ago, percent; now is 100 s after boot
        pytest.param((20.0, 7.0), {1: (20.0, 5.0)}, 20.0, id="since the reading before"),
        pytest.param((96.0, 2.0), {}, 50.0, id="born since: from its start"),
        pytest.param((96.0, 2.0), {1: (20.0, 500.0)}, 50.0, id="a pid used again is another process"),
        pytest.param((99.999, 0.01), {}, 10.0, id="born just now: one tick is no spike"),
        pytest.param((20.0, 4.0), {1: (20.0, 5.0)}, 0.0, id="CPU time that went back"),
        pytest.param((20.0, 25.0), {1: (20.0, 5.0)}, 200.0, id="two busy threads"),
    ],
)
def test_cpu_of_a_process(usage: tuple[float, float], before: dict[int, tuple[float, float]], expected: float) -> None:
    one = processes.Usage(1, *usage, 0, 1, b"")
    known = {pid: processes.Usage(pid, *used, 0, 1, b"") for pid, used in before.items()}
    assert processes.cpu_percents([one], known, elapsed=10.0, now=100.0) == [pytest.approx(expected)]


def test_the_first_reading_rates_no_process() -> None:
    (percent,) = processes.cpu_percents([processes.Usage(1, 1.0, 1.0, 0, 1, b"")], None, elapsed=0, now=time.time())
    assert percent != percent


MOUNTINFO = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
28 27 0:25 / /run rw,nosuid - tmpfs tmpfs rw,size=100k
29 28 0:26 / /run/user/1000 rw,nosuid - tmpfs tmpfs rw,size=100k
30 27 0:27 / /dev/shm rw - tmpfs tmpfs rw
31 27 0:28 / /tmp rw - tmpfs tmpfs rw,size=1000k
32 27 0:28 /sub /var/tmp rw - tmpfs tmpfs rw,size=1000k
33 27 254:0 /srv/data /data rw - ext4 /dev/vda1 rw
34 27 254:16 / /mnt/my\040disk ro,relatime - xfs /dev/vdb ro
35 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
36 27 11:0 / /media/cd ro - iso9660 /dev/sr0 ro
37 27 0:40 / /mnt/nas rw - nfs4 nas:/export rw
38 27 0:41 / /mnt/ssh rw - fuse.sshfs me@there: rw
39 27 0:42 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw
40 27 0:43 /@home /home rw - btrfs /dev/vdc rw
41 27 0:44 /@ /mnt/pool rw - btrfs /dev/vdc rw
42 27 254:32 / /mnt/covered rw - ext4 /dev/vdd rw
43 27 254:48 / /mnt/covered rw - ext4 /dev/vde rw
44 27 0:50 / /mnt/win rw - cifs //server/share rw
45 27 259:1 / /mnt/usb rw - fuseblk /dev/sdz1 rw
46 27 0:52 / /tank rw - zfs tank rw
47 27 254:64 / /mnt/\377\033 rw - ext4 /dev/vdf rw
"""


def test_one_mount_a_local_filesystem_that_can_fill_up() -> None:
    assert {mount.mount: mount.device for mount in chosen(parse_mountinfo(MOUNTINFO))} == {
        "/": "/dev/vda1",
        "/tmp": "tmpfs",
        "/mnt/my disk": "/dev/vdb",
        "/home": "/dev/vdc",
        "/mnt/covered": "/dev/vde",
        "/mnt/usb": "/dev/sdz1",
        "/tank": "tank",
        "/mnt/\udcff\x1b": "/dev/vdf",
    }


def test_read_only_is_the_filesystem_s_own_state() -> None:
    mounts = {mount.mount: mount for mount in parse_mountinfo(MOUNTINFO)}
    assert mounts["/mnt/my disk"].read_only
    assert not mounts["/"].read_only
    (bind,) = parse_mountinfo(b"33 27 254:0 /etc /ro ro - ext4 /dev/vda1 rw\n")
    assert not bind.read_only


@pytest.mark.parametrize("options", [b"rw,emergency_ro", b"rw,shutdown"])
def test_a_filesystem_that_the_kernel_stopped_is_one_that_nobody_writes_to(options: bytes) -> None:
    (mount,) = parse_mountinfo(b"33 27 254:0 / /data rw - ext4 /dev/vda1 " + options + b"\n")
    assert mount.read_only


def test_the_root_of_a_container_counts_and_the_files_bound_into_it_do_not() -> None:
    mounts = parse_mountinfo(
        b"1 0 0:60 / / rw - overlay overlay rw,lowerdir=/l\n"
        b"2 1 254:0 /var/lib/docker/containers/a/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n"
    )
    assert "/" in [mount.mount for mount in chosen(mounts)]
    etc_hosts = mounts[1]._replace(mount=__file__)
    assert filesystems._measure(etc_hosts, "") is None


def test_a_collector_in_a_container_names_the_mounts_of_its_host_as_the_host_does() -> None:
    mounts = parse_mountinfo(
        b"1 0 0:60 / / rw - overlay overlay rw,lowerdir=/l\n"
        b"2 1 254:0 / /host rw - ext4 /dev/vda1 rw\n"
        b"3 2 254:1 / /host/srv/data rw - ext4 /dev/vda2 rw\n"
        b"4 2 0:61 / /host/run rw - tmpfs tmpfs rw\n"
        b"5 1 254:0 /var/lib/docker/volumes/a/_data /data rw - ext4 /dev/vda1 rw\n"
        b"6 1 254:2 / /hostage rw - ext4 /dev/vda3 rw\n"
    )
    of_host = chosen(filesystems.below("/host", mounts))
    assert {mount.mount: mount.device for mount in of_host} == {"/": "/dev/vda1", "/srv/data": "/dev/vda2"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/mountinfo")
def test_the_root_of_the_host_is_measured_where_it_is_mounted(tmp_path: Path) -> None:
    (root,) = filesystems.Filesystems(str(tmp_path)).read(0.0).details["filesystems"]
    assert root.mount == "/"
    assert root.size_bytes == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_temperature_inputs_have_the_name_of_their_chip(tmp_path: Path) -> None:
    chip = tmp_path / "hwmon0"
    chip.mkdir()
    (chip / "name").write_text("coretemp\n")
    (chip / "temp1_input").write_text("45000\n")
    (chip / "temp1_label").write_text("Package id 0\n")
    (chip / "temp2_input").write_text("nonsense\n")
    inputs = sensors.find_inputs(tmp_path)
    assert [name for name, _ in inputs] == ["coretemp Package id 0", "coretemp temp2"]
    assert [(one.name, one.celsius) for one in sensors._linux(inputs)] == [("coretemp Package id 0", 45.0)]


def test_in_a_chroot_whose_root_is_no_mount_the_root_is_measured_all_the_same() -> None:
    inside = [mount for mount in parse_mountinfo(MOUNTINFO) if mount.mount != "/"]
    assert [mount.mount for mount in chosen(filesystems.with_root(inside))].count("/") == 1


def test_a_root_that_is_a_mount_is_not_added_again() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert filesystems.with_root(mounts) == mounts
