"""The spool after a crash, a power loss or damage: what it was given is there, or declared lost."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from collector.spool import Spool, Standing
from tests.collector.spooled import BOUND, NOW, body, crash, fill, gaps, numbers, records, waiting


def test_kill_9_loses_nothing_that_was_appended(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from collector.spool import Spool\n"
        f"spool = Spool(Path(sys.argv[1]), {BOUND}, {NOW})\n"
        "for number in range(1, 10**9): print(spool.append(b'%0100d' % number, 0.0), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE) as process:
        assert process.stdout
        appended = [int(process.stdout.readline()) for _ in range(500)]
        process.send_signal(signal.SIGKILL)
        appended += [int(line) for line in process.stdout.read().splitlines()]
    again = Spool(folder, BOUND, NOW + 60)
    items = waiting(again)
    assert again.incarnation == int(NOW * 1000)
    assert numbers(items)[: len(appended)] == appended == [item.sequence for item in items][: len(appended)]


def test_a_tail_cut_at_any_byte_is_dropped_and_its_numbers_are_never_used_again(folder: Path, tmp_path: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    crash(spool)
    (file,) = records(folder)
    whole = file.read_bytes()
    two = len(whole) // 3 * 2
    for length in range(two + 1, len(whole)):
        copy = tmp_path / f"cut-{length}"
        shutil.copytree(folder, copy)
        (copy / file.name).write_bytes(whole[:length])
        again = Spool(copy, BOUND, NOW + 60)
        again.append(body(4), 0.0)
        old = waiting(again)
        assert numbers(old) == [1, 2]
        again.acknowledge(old[-1].incarnation, 2)
        (new,) = waiting(again)
        assert (new.incarnation, new.sequence, int(new.body)) == (int(NOW * 1000) + 60_000, 1, 4)
        again.close()


def test_a_flipped_bit_in_the_middle_loses_one_file_s_rest_and_declares_it(folder: Path) -> None:
    spool = Spool(folder, 64_000, NOW)
    fill(spool, 50)
    crash(spool)
    files = records(folder)
    damaged = bytearray(files[2].read_bytes())
    damaged[10] ^= 4
    files[2].write_bytes(damaged)
    lost = list(range(int(files[2].stem), int(files[3].stem)))
    again = Spool(folder, 64_000, NOW)
    items = waiting(again)
    assert numbers(items) == [number for number in range(1, 51) if number not in lost]
    (gap,) = gaps(items)
    assert (gap.first, gap.last) == (lost[0], lost[-1])


def test_after_a_power_loss_numbers_that_may_be_forgotten_are_not_used_again(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    crash(spool)
    (folder / "intact").write_text("another boot")
    again = Spool(folder, BOUND, NOW + 60)
    assert again.append(body(4), 0.0) == 1
    assert again.incarnation == int(NOW * 1000) + 60_000


def test_the_next_incarnation_waits_until_the_one_before_is_acknowledged(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    old = spool.incarnation
    crash(spool)
    (folder / "intact").unlink()
    again = Spool(folder, BOUND, NOW + 60)
    fill(again, 2, first=4)
    assert numbers(waiting(again)) == [1, 2, 3]
    # The server knows more of the old incarnation than survived here.
    assert again.acknowledge(old, 9) is Standing.CURRENT
    assert numbers(waiting(again)) == [4, 5]
    # Until the new one's first is committed, Redis still has the old acknowledgement.
    assert again.acknowledge(old, 9) is Standing.CURRENT


def test_a_spool_without_its_numbers_starts_a_new_incarnation_with_what_is_there(folder: Path) -> None:
    spool = Spool(folder, BOUND, NOW)
    fill(spool, 3)
    spool.close()
    (folder / "numbering").write_bytes(b"\xff")
    again = Spool(folder, BOUND, NOW + 60)
    assert [(item.sequence, int(item.body)) for item in waiting(again)] == [(1, 1), (2, 2), (3, 3)]
    assert again.incarnation == int(NOW * 1000) + 60_000
