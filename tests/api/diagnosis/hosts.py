"""A host as a story tells of it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from api.diagnosis.measures import METRICS, Averages
from api.diagnosis.seen import WHOLE_SECONDS, OpenEvent, Peers, Seen, View
from api.diagnosis.trend import History
from wire.snapshot import Details, Directory, Disk, Filesystem, Interface, Process

NOW = 1_800_000_000.0
DAY = 86400.0
HOUR = 3600.0
GIBIBYTE = 2.0**30
MEMORY = 8 * GIBIBYTE
BETWEEN_LOOKS = 720.0

CALM: Mapping[str, float] = dict.fromkeys(METRICS, 0.0) | {
    "cpu_percent": 10.0,
    "load_1": 0.3,
    "memory_percent": 40.0,
    "memory_total_bytes": MEMORY,
    "memory_available_bytes": 4.5 * GIBIBYTE,
    "disk_percent": 50.0,
    "disk_inodes_percent": 10.0,
    "network_receive_bytes_per_second": 1e5,
    "network_transmit_bytes_per_second": 1e5,
    "threads": 400.0,
    "open_files": 3000.0,
}


def host(story: Mapping[str, Any]) -> Seen:
    """Return a calm host with what a story says of it: see ``stories.toml``."""
    said: dict[str, dict[str, Any]] = {}
    for key, value in story.items():
        kind, _, name = key.partition(" ")
        said.setdefault(kind, {})[name] = value
    recent = CALM | {name: float(story[name]) for name in METRICS if name in story}
    whole = CALM | said.get("whole", {})
    latest, earlier = (_processes(said.get(kind, {})) for kind in ("process", "earlier"))
    details = Details(
        filesystems=tuple(_filesystem(mount, used) for mount, used in said.get("filesystem", {}).items()),
        disks=tuple(Disk(name, 0.0, 0.0, 0.0, 0.0, busy) for name, busy in said.get("disk", {}).items()),
        interfaces=tuple(Interface(name, 0.0, 0.0, 0.0, lost) for name, lost in said.get("interface", {}).items()),
        directories=tuple(_directory(path, grown) for path, grown in said.get("directory", {}).items()),
        processes_by_cpu=latest,
        processes_by_memory=latest,
        cpu_count=story.get("cpus", 2),
    )
    before = Details(processes_by_cpu=earlier, processes_by_memory=earlier)
    (tag, medians), *_ = said.get("peers", {"": {}}).items()
    return Seen(
        host="web",
        now=NOW,
        averages=averages({name: (whole[name], recent[name]) for name in METRICS}),
        whole_seconds=story.get("whole_seconds", WHOLE_SECONDS),
        silent_seconds=story.get("silent_seconds", 0.0),
        fives={name: _climbing(*way) for name, way in said.get("climb", {}).items()},
        hours={name: _usual(*ends) for name, ends in said.get("usual", {}).items()}
        | {name: _every_day(*way) for name, way in said.get("daily", {}).items()},
        peers=Peers(tag, 8, medians) if tag else None,
        view=View(NOW - 5, details),
        earlier=View(NOW - 5 - BETWEEN_LOOKS, before) if earlier else None,
        filesystems={
            mount: History(np.array([NOW - DAY + 60, NOW - 600]), np.array(ends))
            for mount, ends in said.get("was", {}).items()
        },
        events=[_event(number, name, one) for number, (name, one) in enumerate(said.get("event", {}).items(), 1)],
        remedy_of=story.get("own_remedies", {}),
    )


def averages(means: Mapping[str, tuple[float, float]]) -> Averages:
    """Return the averages of one host, given (whole, recent) by metric."""
    whole, recent = np.array([means.get(name, (math.nan, math.nan)) for name in METRICS]).T[:, None]
    return Averages(whole, recent)


def _processes(said: Mapping[str, list[float]]) -> tuple[Process, ...]:
    return tuple(
        Process(int(pid), 1.7e9 + int(pid), name, "root", cpu, memory, memory * MEMORY / 100)
        for (name, pid), (cpu, memory) in ((key.rsplit(" ", 1), value) for key, value in said.items())
    )


def _filesystem(mount: str, used: float | list[float]) -> Filesystem:
    percent, inodes = used if isinstance(used, list) else (used, math.nan)
    return Filesystem(mount, "/dev/vda1", "ext4", 100 * GIBIBYTE, percent * GIBIBYTE, percent, inodes)


def _directory(path: str, grown: float) -> Directory:
    return Directory("/" + path.split("/")[1], path, 10 * GIBIBYTE, grown * GIBIBYTE, 600.0)


def _usual(least: float, most: float) -> History:
    """Return a week in which each hour of the day was between these."""
    at = np.floor((NOW - 7 * DAY) / HOUR) * HOUR + HOUR * np.arange(7 * 24)
    return History(at, np.where(np.arange(len(at)) // 24 % 2, least, most))


def _every_day(first: float, last: float, hours: float) -> History:
    """Return a week in which it climbed so far in the hours up to this one of each day, and fell back then."""
    at = np.floor((NOW - 7 * DAY) / HOUR) * HOUR + HOUR * np.arange(7 * 24 + 1)
    before = (NOW - at) % DAY / HOUR
    return History(at, first + (last - first) * np.clip(1 - before / hours, 0, 1))


def _climbing(first: float, last: float, hours: float) -> History:
    """Return a day that was even and then climbed steadily for these hours, with a little noise."""
    at = NOW - DAY + 300 * np.arange(288)
    share = np.clip((at - (NOW - hours * HOUR)) / (hours * HOUR), 0, 1)
    noise = (last - first) / 100 * np.sin(7.0 * np.arange(288))
    return History(at, first + (last - first) * share + noise)


def _event(number: int, name: str, said: Mapping[str, Any]) -> OpenEvent:
    kind, _, subject = name.partition(" ")
    return OpenEvent(number, kind, subject, **said)
