import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import snapshot as wire
from wire.snapshot import (
    Details,
    Filesystem,
    Gap,
    Snapshot,
    Unreadable,
    decode_details,
    decode_gap,
    decode_snapshot,
    encode_details,
    encode_gap,
    encode_snapshot,
)

_text = st.text(max_size=20)
_number = st.floats(allow_nan=True, allow_infinity=True)
_integer = st.integers(0, 2**63 - 1)


def _all_of(struct: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    by_type = {"str": _text, "float": _number, "int": _integer, "bool": st.booleans()}
    fields = msgspec.structs.fields(struct)
    return st.builds(struct, **{field.name: by_type[field.type.__name__] for field in fields})


def _some(struct: type[msgspec.Struct]) -> st.SearchStrategy[tuple[msgspec.Struct, ...]]:
    return st.lists(_all_of(struct), max_size=3).map(tuple)


DETAILS = st.builds(
    wire.Details,
    filesystems=_some(wire.Filesystem),
    disks=_some(wire.Disk),
    interfaces=_some(wire.Interface),
    sensors=_some(wire.Sensor),
    processes_by_cpu=_some(wire.Process),
    processes_by_memory=_some(wire.Process),
    services=_some(wire.Service),
    disk_health=_some(wire.DiskHealth),
    cpu_count=_integer,
    platform=_text,
    os_name=_text,
    hostname=_text,
    collector_version=_text,
    booted_at=_number,
    packages_changed_at=_number,
)

SNAPSHOTS = st.builds(
    wire.Snapshot,
    version=st.just(wire.SNAPSHOT_VERSION),
    taken_at=_number,
    interval_seconds=_number,
    core=st.binary(max_size=50).map(lambda data: data * 4),
    details=DETAILS.map(wire.encode_details),
)

GAPS = st.tuples(_integer.filter(bool), _integer.filter(bool), _text, _number, _number).map(
    lambda parts: wire.Gap(min(parts[:2]), max(parts[:2]), *parts[2:])
)


@given(SNAPSHOTS)
def test_any_snapshot_survives_the_round_trip(snapshot: Snapshot) -> None:
    read = decode_snapshot(encode_snapshot(snapshot))
    # By their text, as NaN is not equal to itself.
    assert repr(msgspec.structs.astuple(read)[:-1]) == repr(msgspec.structs.astuple(snapshot)[:-1])
    assert bytes(read.details) == bytes(snapshot.details)


@given(DETAILS)
def test_any_details_survive_the_round_trip(details: Details) -> None:
    assert repr(decode_details(encode_details(details))) == repr(details)


@given(GAPS)
def test_any_gap_survives_the_round_trip(gap: Gap) -> None:
    assert repr(decode_gap(encode_gap(gap))) == repr(gap)


def read_all(data: bytes) -> None:
    """Decode as everything; whatever is not refused as Unreadable fails the test."""
    for decode in (decode_snapshot, decode_details, decode_gap):
        with contextlib.suppress(Unreadable):
            decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_all(data)


@given(SNAPSHOTS, st.data())
def test_a_damaged_snapshot_is_read_or_refused(snapshot: Snapshot, draw: st.DataObject) -> None:
    data = bytearray(encode_snapshot(snapshot))
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] = draw.draw(st.integers(0, 255))
    del data[draw.draw(st.integers(0, len(data))) :]
    read_all(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x95\x01",
        b"\x91" * 100_000,
        msgspec.msgpack.encode([1, "a time", 5.0, b""]),
        msgspec.msgpack.encode([1, 5.0, 5.0, b"three bytes"]),
        msgspec.msgpack.encode([2, 5.0, 5.0, b""]),
        b"\xd9\x02\xff\xff",
    ],
    ids=[
        "nothing",
        "cut short",
        "nested without end",
        "wrong type",
        "odd core",
        "version from the future",
        "not UTF-8",
    ],
)
def test_a_body_that_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_snapshot(data)


@pytest.mark.parametrize(("first", "last"), [(0, 3), (4, 3), (-2, -1)])
def test_a_gap_that_is_no_range_is_refused(first: int, last: int) -> None:
    with pytest.raises(Unreadable, match="not a range"):
        decode_gap(encode_gap(Gap(first, last, "")))


class NewerFilesystem(Filesystem, array_like=True, frozen=True):
    label: str = "none"


class NewerDetails(Details, array_like=True, frozen=True):
    filesystems: tuple[NewerFilesystem, ...] = ()
    kernel: str = "unknown"


class NewerSnapshot(Snapshot, array_like=True, frozen=True):
    boot_id: str = "unknown"


ROOT = ("/", "/dev/sda", "ext4", 10.0, 5.0, 50.0)


def test_an_old_reader_reads_a_new_snapshot() -> None:
    newer = NewerDetails(filesystems=(NewerFilesystem(*ROOT, label="root"),), hostname="web1", kernel="6.1")
    sent = NewerSnapshot(1, 5.0, 30.0, b"", encode_details(newer), boot_id="b")
    read = decode_snapshot(encode_snapshot(sent))
    assert (read.taken_at, read.interval_seconds) == (5.0, 30.0)
    details = decode_details(read.details)
    assert (details.filesystems[0].mount, details.hostname) == ("/", "web1")


def test_a_new_reader_reads_an_old_snapshot() -> None:
    sent = Snapshot(1, 5.0, 30.0, b"", encode_details(Details(filesystems=(Filesystem(*ROOT),))))
    read = msgspec.msgpack.decode(encode_snapshot(sent), type=NewerSnapshot)
    assert read.boot_id == "unknown"
    details = msgspec.msgpack.decode(read.details, type=NewerDetails)
    assert (details.filesystems[0].label, details.kernel) == ("none", "unknown")
