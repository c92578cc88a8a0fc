"""Processes for fixes to meet, and places for fixes to run in."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.all_in_one import wait_until

# Each gives way to what else runs here, has its name when it is ready, and ends by itself should nobody end it.
_START = "import os, sys, threading, time\nos.nice(5)\nend = time.monotonic() + 60\n"
_READY = "open('/proc/self/comm', 'wb').write(os.fsencode(sys.argv[1]))\n"
_STAY = "time.sleep(60)\n"
_BURN = """
def burn():
    while time.monotonic() < end:
        sum(range(100_000))
threading.Thread(target=burn, daemon=True).start()
"""
_HOLD = "held = bytearray(int(sys.argv[2]))\nheld[::4096] = b'x' * len(held[::4096])\n"
_LEAK = """
held = []
while len(held) < 50 and not time.sleep(0.01):
    held.append(b'x' * 5_000_000)
"""
_WORK_ONCE = "while time.process_time() < 0.2: pass\n"
BURNER = _START + _BURN + _READY + _STAY
HOARDER = _START + _HOLD + _READY + _STAY
LEAKER = _START + _READY + _LEAK + _STAY
ONCE_BUSY = _START + _WORK_ONCE + _READY + _STAY

# All that can be written is mounted read-only for the command behind it.
SEALED = [
    *("unshare", "--mount", "sh", "-c"),
    'while read -r _ at _; do mount -o remount,bind,ro "$at" 2> /dev/null; done < /proc/self/mounts; exec "$@"',
    "sh",
]


@contextmanager
def python(
    code: str, name: str, *arguments: object, inside: Sequence[str] = (), **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of this code and name, ``inside`` another command that becomes it, until the block ends."""
    command = [*inside, sys.executable, "-SE", "-c", code, name, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    try:
        wait_until(lambda: psutil.Process(process.pid).name() == name, every=0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def start_time(process: subprocess.Popen[bytes]) -> float:
    return psutil.Process(process.pid).create_time()


def nice_values(process: subprocess.Popen[bytes]) -> set[int]:
    """Return the nice values of a process' threads."""
    stats = [stat.read_text() for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")]
    return {int(stat.rpartition(")")[2].split()[16]) for stat in stats}


def state_of(process: subprocess.Popen[bytes]) -> Mapping[str, Any]:
    """Return all of a process that a fix could change."""
    told = psutil.Process(process.pid).as_dict(["nice", "ionice", "cpu_affinity", "num_threads", "ppid", "name"])
    told["scores"] = [Path(f"/proc/{process.pid}/{file}").read_text() for file in ("oom_score_adj", "cgroup", "limits")]
    told["stopped"] = psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    return {**told, "threads": nice_values(process)}


def minds_term(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a process has something else in mind for a TERM than to end."""
    masks = re.findall(r"Sig(?:Ign|Cgt):\s+([0-9a-f]+)", Path(f"/proc/{process.pid}/status").read_text())
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def need_mounts() -> None:
    """Skip the test where a command cannot have mounts of its own."""
    if subprocess.run([*SEALED, "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts of one's own cannot be had here, as in a container or without root")


def with_files(files: Mapping[str, Path]) -> list[str]:
    """Return the command that has what it runs find these files, or folders, in those places."""
    binds = " && ".join(f'mount --bind "{source}" "{place}"' for place, source in files.items())
    return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh"]
