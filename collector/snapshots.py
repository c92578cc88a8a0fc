"""Taking a snapshot: every reader once, each on its own, packed for the wire."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
import psutil

from collector.readers import Part
from collector.readers.cpu import Cpu
from collector.readers.directories import Directories
from collector.readers.disk_health import DiskHealths
from collector.readers.disks import Disks
from collector.readers.filesystems import Filesystems
from collector.readers.memory import Memory
from collector.readers.network import Network
from collector.readers.packages import Packages
from collector.readers.pressure import Pressure
from collector.readers.processes import Processes
from collector.readers.sensors import Sensors
from collector.readers.services import read_services
from collector.readers.system import System
from wire.metrics import pack_core
from wire.snapshot import MAX_BODY_BYTES, SNAPSHOT_VERSION, Details, Snapshot, encode_details, encode_snapshot
from wire.text import visible

log = logging.getLogger(__name__)


class Sampler:
    """Reads the host. A new one knows no reading before, so its first snapshot has no rates."""

    def __init__(self, writable: Collection[tuple[str, str]] = (), host_root: str = "") -> None:
        """``writable`` are the (device, mount) pairs that earlier samplers saw writable; ``host_root`` is where the
        host's root is mounted, empty where it is the collector's own.
        """
        self._readers = [
            reader.read
            for reader in (
                Cpu(),
                Memory(),
                Disks(),
                Network(),
                Pressure(),
                Sensors(),
                Processes(),
                System(),
                Packages(host_root),
            )
        ]
        self._filesystems = Filesystems(host_root)
        self._disk_health = DiskHealths(writable, host_root)
        self._directories = Directories(host_root)
        self._silent: dict[str, str] = {}

    @property
    def writable(self) -> frozenset[tuple[str, str]]:
        """The (device, mount) pairs seen writable so far."""
        return frozenset(self._disk_health.writable)

    def take(self, taken_at: float, at: float, interval_seconds: float, services: Sequence[str]) -> bytes:
        """Return the body of a snapshot: ``taken_at`` in Unix seconds, ``at`` the monotonic time of the same moment.

        A reader that fails leaves its own values out and is logged once.
        """
        parts = [self._part(read, at) for read in self._readers]
        filesystems = self._part(self._filesystems.read, at)
        found = filesystems.details.get("filesystems", ())
        parts += [
            filesystems,
            self._part(self._disk_health.read, at, found),
            self._part(self._directories.read, at, found),
            self._part(read_services, services),
        ]
        core: dict[str, float] = {}
        details: dict[str, Any] = {}
        for part in parts:
            core.update(part.core)
            details.update(part.details)
        snapshot = Snapshot(SNAPSHOT_VERSION, taken_at, interval_seconds, pack_core(core))
        body = encode_snapshot(msgspec.structs.replace(snapshot, details=encode_details(Details(**details))))
        # Hundreds of mounts with the longest of names: the server would refuse it, the core metrics count them all.
        return body if len(body) <= MAX_BODY_BYTES else encode_snapshot(snapshot)

    def _part(self, read: Callable[..., Part], *arguments: object) -> Part:
        name = read.__qualname__
        try:
            part = read(*arguments)
        except (OSError, ValueError, LookupError, psutil.Error) as error:
            message = visible(f"{type(error).__name__}: {error}")
            if self._silent.get(name) != message:
                log.warning("%s cannot read this host, its values are left out: %s", name, message)
                self._silent[name] = message
            return Part({})
        self._silent.pop(name, None)
        return part
