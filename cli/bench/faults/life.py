"""What the simulated hosts read: a pure function of a host and the number of its snapshot.

Each host goes through the same troubles again and again, each host at its own time: a busy CPU for long, one for too
short a time to be an event, leaps, a filesystem that fills up, holds at the edge and empties; now and then soon again,
so that an event opens again or flaps, now and then long after. Every value in trouble is one of its own, so that an
event tells which snapshot it began with. Time is simulated too: a snapshot says that ten seconds have passed since the
one before, however soon it comes.
"""

import math
from typing import NamedTuple

from wire.metrics import NAMES, pack_core
from wire.snapshot import SNAPSHOT_VERSION, Details, Filesystem, Process, Snapshot, encode_details, encode_snapshot

INTERVAL_SECONDS = 10.0
"""Of simulated time, between two snapshots."""
IDENTITY = "uptime_seconds"
"""The metric that holds the number of the snapshot: it is known again whatever became of its position."""
MOUNT = "/srv"
"""The filesystem that fills up."""

_GIB = 2.0**30
_BUSY = (*[88.0] * 10, *[82.0] * 2)
_LEAPS = (*[15.0] * 12, 60.0, 48.0, 47.0, 10.0, 12.0, 90.0, 91.0, 20.0, 15.0, 14.0)
# Busy, and again before that is forgotten, and again when it is. Three leaps close together flap until it was calm for
# long; what comes soon after that flaps too.
_CPU = (*[12.0] * 14, *_BUSY, *_LEAPS, *[12.0] * 30, *_BUSY, *[12.0] * 110, *_BUSY, *[12.0] * 170)
_FULL = (*[50.0] * 10, 90.0, *[50.0] * 4, *[88.0] * 3, *[94.0] * 3, *[83.0] * 2, 70.0, 84.0, *[60.0] * 2, *[50.0] * 9)
# Full once and long forgotten, then three times in a row.
_DISK = (*_FULL, *[50.0] * 70, *_FULL, *_FULL, *_FULL, *[50.0] * 150)


class Reading(NamedTuple):
    """One snapshot of a host, before the collector's spool has it."""

    core: bytes
    body: bytes


def read(place: int, number: int, taken_at: float) -> Reading:
    """Return snapshot ``number`` (1 and on) of the host in this place, taken at this time by the host's own clock."""
    # Float32 holds it exactly beside two digits before the point.
    own = (number * 7 % 8192) / 8192
    cpu = _CPU[(number + 37 * place) % len(_CPU)] + own
    disk = _DISK[(number + 31 * place) % len(_DISK)] + own
    values = {name: ((place * 31 + number * 17 + at * 13) % 160) / 4 for at, name in enumerate(NAMES)}
    values |= {
        IDENTITY: float(number),
        "cpu_percent": cpu,
        "disk_percent": disk,
        "process_memory_max_percent": 5.0,
        "services_not_running": 0.0,
        "disks_failing": 0.0,
        # What cannot be, or is not there, is missing from what is stored.
        "swap_percent": 400.0 if number % 11 == 0 else 3.0,
        "memory_used_bytes": -1.0 if number % 13 == 0 else 4 * _GIB,
        "temperature_celsius": math.nan if number % 5 == 0 else 40.5,
    }
    core = pack_core(values)
    body = encode_snapshot(
        Snapshot(SNAPSHOT_VERSION, taken_at, INTERVAL_SECONDS, core, encode_details(_details(place, cpu, disk)))
    )
    return Reading(core, body)


def _details(place: int, cpu: float, disk: float) -> Details:
    busiest = Process(1000 + place, 1.7e9, "task", "app", cpu, 5.0, _GIB)
    return Details(
        filesystems=(
            Filesystem("/", "/dev/sda1", "ext4", 50 * _GIB, 15 * _GIB, 30.0, 5.0),
            Filesystem(MOUNT, "/dev/sdb1", "xfs", 100 * _GIB, disk * _GIB, disk, 3.0),
        ),
        processes_by_cpu=(busiest,),
        processes_by_memory=(busiest,),
        cpu_count=4,
        platform="linux",
    )
