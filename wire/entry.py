"""An entry of an inbox: who, where in the host's order, the body, and the MAC that vouches for all of it.

A MessagePack array ``[host, incarnation, sequence, sent_at, kind, body, mac]``. The MAC is HMAC-SHA-256 (RFC 2104)
under the host's own key over every byte before it, the array's header included. It is made at the push, so that
``sent_at`` is fresh when an entry is sent again.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from wire.snapshot import Unreadable

SNAPSHOT = 0
"""The kind of an entry whose body is a Snapshot."""
GAP = 1
"""The kind of an entry whose body is a Gap."""

KEY_BYTES = 32
_MAC_BYTES = 32
# The header of a 32-byte MessagePack bin: what stands between the signed bytes and the MAC.
_MAC_HEADER = b"\xc4\x20"
_TRAILER_BYTES = len(_MAC_HEADER) + _MAC_BYTES
_ARRAY_OF_SEVEN = b"\x97"
# RFC 2104, section 2: the key, filled up to SHA-256's block of 64 bytes, with each byte turned by 0x36 and by 0x5c.
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_BLOCK_BYTES = 64

HIGHEST_NUMBER = 2**63 - 1
"""The highest host id, incarnation and sequence."""

_Positive = Annotated[int, Meta(ge=1, le=HIGHEST_NUMBER)]


class Entry(Struct, array_like=True, frozen=True, gc=False):
    """One entry of an inbox. ``sent_at`` is the host's clock at the push, in Unix seconds."""

    host: _Positive
    incarnation: _Positive
    sequence: _Positive
    sent_at: float
    kind: int
    body: bytes
    mac: Annotated[bytes, Meta(min_length=_MAC_BYTES, max_length=_MAC_BYTES)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def seal(
    key: bytes, host: int, incarnation: int, sequence: int, sent_at: float, body: bytes, kind: int = SNAPSHOT
) -> bytes:
    """Return the signed bytes of an entry, ready to be pushed."""
    signed = _ARRAY_OF_SEVEN + _encoder.encode((host, incarnation, sequence, sent_at, kind, body))[1:]
    return signed + _MAC_HEADER + _mac(key, signed)


def open_entry(data: bytes) -> Entry:
    """Read an entry without checking who made it. Raises Unreadable."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"entry: {error}") from None


def open_entries(entries: Sequence[bytes]) -> list[Entry]:
    """Read entries as ``open_entry`` does, all at once. Raises Unreadable when one of them is none."""
    try:
        return list(map(_decoder.decode, entries))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"an entry: {error}") from None


def is_authentic(key: bytes, data: bytes) -> bool:
    """Say whether the entry ``data`` was sealed under ``key``."""
    return hmac.compare_digest(_MAC_HEADER + _mac(key, data[:-_TRAILER_BYTES]), data[-_TRAILER_BYTES:])


def _mac(key: bytes, signed: bytes) -> bytes:
    # SHA-256 twice by itself: hmac.digest looks the algorithm up each time, which costs more than the hashing.
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(block.translate(_OUTER) + sha256(block.translate(_INNER) + signed).digest()).digest()
