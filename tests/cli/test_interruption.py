"""Ctrl-C."""

import subprocess
import sys

_PROGRAM = """
import signal, sys, time
from cli.interruption import heed_in_finalizers

class Slow:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

heed_in_finalizers()
try:
    Slow()
    print("passed by", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interrupt_that_comes_in_a_finalizer_is_heeded_after_it() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "passed by\n", "")
