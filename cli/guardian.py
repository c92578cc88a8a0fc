"""Ends the parts of an ``up`` that was killed: nothing of it may go on unseen.

Runs beside ``up`` and reads from a pipe that only ``up`` and its starting children can write to: ``+GROUP`` for each
process group to watch, ``-GROUP`` for one that is gone. At the end of the pipe ``up`` is dead, however it died. That
needs nothing but process groups, and so works on Linux and macOS alike and reaches the children's own children.
"""

import os
import signal
import sys
import time

_GRACE_SECONDS = 5.0


def main() -> int:
    """Watch until the pipe ends, then end what is left."""
    # What is sent to `up` by a terminal or a service manager is for `up` to answer.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    end_groups(groups)
    return 0


def end_groups(groups: set[int]) -> None:
    """Ask all processes of these groups to end, and kill those that have not within a few seconds."""
    deadline = time.monotonic() + _GRACE_SECONDS
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; say whether there was anyone to receive it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of which only zombies are left.
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
