"""Processes that keep all CPUs busy, for tests of what is made of that."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Hashing lets the other threads run. It ends by itself should nobody be left to end it, and gives way to what else
# runs here.
_BURN = """
import hashlib, os, sys, threading, time
os.nice(10)
open("/proc/self/comm", "w").write(sys.argv[1])
end = time.monotonic() + 240
block = bytes(1 << 20)
def burn():
    while time.monotonic() < end:
        hashlib.sha256(block)
threads = [threading.Thread(target=burn) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@contextmanager
def burning(*names: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run one process of each name, each able to keep all CPUs busy, until the block ends."""
    threads = str(os.cpu_count() or 1)
    burners = [subprocess.Popen([sys.executable, "-c", _BURN, name, threads]) for name in names]
    try:
        yield burners
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
