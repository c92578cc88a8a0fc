import contextlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.entry import GAP, KEY_BYTES, SNAPSHOT, is_authentic, open_entry, seal
from wire.snapshot import Unreadable

KEY = bytes(range(KEY_BYTES))
positive = st.integers(1, 2**63 - 1)


@given(
    host=positive,
    incarnation=positive,
    sequence=positive,
    sent_at=st.floats(allow_nan=False),
    body=st.binary(max_size=300),
    kind=st.sampled_from([SNAPSHOT, GAP]),
)
def test_any_entry_opens_as_it_was_sealed(
    host: int, incarnation: int, sequence: int, sent_at: float, body: bytes, kind: int
) -> None:
    data = seal(KEY, host, incarnation, sequence, sent_at, body, kind)
    assert is_authentic(KEY, data)
    assert data[-32:] == hmac.digest(KEY, data[:-34], "sha256")
    entry = open_entry(data)
    assert (entry.host, entry.incarnation, entry.sequence) == (host, incarnation, sequence)
    assert (entry.sent_at, entry.kind, entry.body) == (sent_at, kind, body)


def test_every_single_flipped_bit_is_noticed() -> None:
    data = seal(KEY, 7, 1_795_000_000_000, 12, 1.5e9, b"body")
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not is_authentic(KEY, bytes(flipped)), f"bit {bit}"


def test_every_shortened_entry_is_noticed() -> None:
    data = seal(KEY, 7, 1, 12, 1.5e9, b"body")
    assert not any(is_authentic(KEY, data[:length]) for length in range(len(data)))


def test_another_host_s_key_does_not_vouch() -> None:
    assert not is_authentic(bytes(KEY_BYTES), seal(KEY, 7, 1, 1, 0.0, b""))


@given(st.binary(max_size=200))
def test_any_bytes_are_opened_or_refused(data: bytes) -> None:
    assert not is_authentic(KEY, data)
    with contextlib.suppress(Unreadable):
        open_entry(data)


@given(st.data())
def test_a_damaged_entry_is_opened_or_refused(draw: st.DataObject) -> None:
    data = bytearray(seal(KEY, 7, 1, 12, 1.5e9, b"some body"))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(Unreadable):
        open_entry(bytes(data))


@pytest.mark.parametrize(
    "fields",
    [
        [0, 1, 1, 0.0, 0, b"", bytes(32)],
        [1, -1, 1, 0.0, 0, b"", bytes(32)],
        [1, 1, 2**63, 0.0, 0, b"", bytes(32)],
        [1, 1, 1, 0.0, 0, "text", bytes(32)],
        [1, 1, 1, 0.0, 0, b"", bytes(31)],
        [1, 1, 1, 0.0, 0, b""],
    ],
    ids=["host zero", "negative incarnation", "sequence too large", "body is text", "MAC cut short", "no MAC"],
)
def test_an_entry_with_an_impossible_field_is_refused(fields: list[object]) -> None:
    with pytest.raises(Unreadable):
        open_entry(msgspec.msgpack.encode(fields))
