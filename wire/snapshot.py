"""A snapshot of one host, as it crosses the wire: MessagePack arrays, read by position.

New fields go to the end with a default; a field is never removed or reused. An older reader skips what it does
not know, a newer one fills in the defaults.
"""

import math

import msgspec
from msgspec import Struct

SNAPSHOT_VERSION = 1
"""Raised only by a change that an older reader must not read; fields appended with a default do not."""

MAX_BODY_BYTES = 256 * 1024


class Filesystem(Struct, array_like=True, frozen=True):
    """One mounted filesystem; one entry a device."""

    mount: str
    device: str
    fstype: str
    size_bytes: float
    used_bytes: float
    used_percent: float
    inodes_percent: float = math.nan
    read_only: bool = False


class Disk(Struct, array_like=True, frozen=True):
    """Activity of one physical disk since the snapshot before; NaN on the first reading."""

    name: str
    read_bytes_per_second: float
    write_bytes_per_second: float
    read_operations_per_second: float
    write_operations_per_second: float
    busy_percent: float = math.nan


class Interface(Struct, array_like=True, frozen=True):
    """Activity of one network interface since the snapshot before; NaN on the first reading."""

    name: str
    receive_bytes_per_second: float
    transmit_bytes_per_second: float
    errors_per_second: float
    drops_per_second: float


class Sensor(Struct, array_like=True, frozen=True):
    """One temperature sensor."""

    name: str
    celsius: float


class Process(Struct, array_like=True, frozen=True):
    """One process. ``cpu_percent`` is of one CPU (two busy threads: 200), rated since the snapshot before or,
    when it was born since, from its start. ``start_time`` is in Unix seconds: with the pid it names the process.
    """

    pid: int
    start_time: float
    name: str
    user: str
    cpu_percent: float
    memory_percent: float
    memory_bytes: float
    command: str = ""


SERVICE_UNKNOWN = "unknown"
"""The state of a service where no service manager could be asked: neither running nor not."""


class Service(Struct, array_like=True, frozen=True):
    """One watched service and the state its service manager gives (``active``, ``failed``, ``missing`` …)."""

    name: str
    running: bool
    state: str = ""


class DiskHealth(Struct, array_like=True, frozen=True):
    """The health of one disk or filesystem; ``reason`` says in words why it is failing, empty when it is not."""

    subject: str
    failing: bool
    reason: str = ""


class Directory(Struct, array_like=True, frozen=True):
    """A directory of a nearly full filesystem, with what lies below it where no other one of these does.

    ``growth_bytes`` within ``seconds``, negative where it shrank; both NaN where it was looked at only once.
    """

    mount: str
    path: str
    bytes: float
    growth_bytes: float = math.nan
    seconds: float = math.nan


class Details(Struct, array_like=True, frozen=True):
    """What a snapshot holds besides the core vector. The processes are the top ones, by CPU and by memory."""

    filesystems: tuple[Filesystem, ...] = ()
    disks: tuple[Disk, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    processes_by_cpu: tuple[Process, ...] = ()
    processes_by_memory: tuple[Process, ...] = ()
    services: tuple[Service, ...] = ()
    disk_health: tuple[DiskHealth, ...] = ()
    cpu_count: int = 0
    platform: str = ""
    """``linux``, ``darwin`` or ``windows``."""
    os_name: str = ""
    """The system and its version in words, for people."""
    hostname: str = ""
    collector_version: str = ""
    booted_at: float = math.nan
    """Unix seconds by the host's clock, as the start times of its processes are."""
    packages_changed_at: float = math.nan
    """When a package was last installed, upgraded or removed, in Unix seconds; NaN where that is not known."""
    directories: tuple[Directory, ...] = ()
    """Of each filesystem that is nearly full the ones that grew most, then those that hold most."""


class _Filesystems(Struct, array_like=True, frozen=True):
    """What Details begin with."""

    filesystems: tuple[Filesystem, ...] = ()


class Snapshot(Struct, array_like=True, frozen=True, gc=False):
    """One reading of a host. ``taken_at`` is the host's own clock in Unix seconds, ``interval_seconds`` the
    pace it was taken at, ``core`` the packed core vector (see ``wire.metrics``), ``details`` undecoded.
    """

    version: int
    taken_at: float
    interval_seconds: float
    core: bytes
    details: msgspec.Raw = msgspec.Raw(b"\x90")


class Gap(Struct, array_like=True, frozen=True):
    """A run of sequence numbers that the host dropped: both ends included, with times in Unix seconds.

    Travels as the body of an entry whose sequence is ``last``.
    """

    first: int
    last: int
    reason: str
    first_taken_at: float = math.nan
    last_taken_at: float = math.nan


class Unreadable(ValueError):
    """A body that cannot be read; the message says what is wrong, for the dead letter."""


_encoder = msgspec.msgpack.Encoder()
_snapshot_decoder = msgspec.msgpack.Decoder(Snapshot)
_details_decoder = msgspec.msgpack.Decoder(Details)
_filesystems_decoder = msgspec.msgpack.Decoder(_Filesystems)
_gap_decoder = msgspec.msgpack.Decoder(Gap)


def encode_details(details: Details) -> msgspec.Raw:
    """Return the details as they stand in a snapshot."""
    return msgspec.Raw(_encoder.encode(details))


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the body of a snapshot's entry."""
    return _encoder.encode(snapshot)


def decode_snapshot(body: bytes) -> Snapshot:
    """Read a snapshot, its details left undecoded. Raises Unreadable."""
    try:
        snapshot = _snapshot_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"snapshot: {error}") from None
    if snapshot.version != SNAPSHOT_VERSION:
        raise Unreadable(f"snapshot of version {snapshot.version}: this reader knows {SNAPSHOT_VERSION}")
    if len(snapshot.core) % 4:
        raise Unreadable(f"core vector of {len(snapshot.core)} bytes: not a whole number of float32")
    return snapshot


def decode_details(raw: msgspec.Raw | bytes) -> Details:
    """Read the details of a snapshot. Raises Unreadable."""
    try:
        return _details_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"details: {error}") from None


def decode_filesystems(raw: msgspec.Raw | bytes) -> tuple[Filesystem, ...]:
    """Read only the filesystems of the details of a snapshot. Raises Unreadable."""
    try:
        return _filesystems_decoder.decode(raw).filesystems
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"details: {error}") from None


def encode_gap(gap: Gap) -> bytes:
    """Return the body of a gap's entry."""
    return _encoder.encode(gap)


def decode_gap(body: bytes) -> Gap:
    """Read a gap. Raises Unreadable, also when its ends are not in order."""
    try:
        gap = _gap_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"gap: {error}") from None
    if not 1 <= gap.first <= gap.last:
        raise Unreadable(f"gap from {gap.first} to {gap.last}: not a range of sequence numbers")
    return gap
