"""What a preview of a policy says, as a worker hands it to the API through Redis. Times are Unix seconds."""

import msgspec
from msgspec import Struct


class Amount(Struct, frozen=True):
    """Events, and for how long they are open within the span."""

    events: int = 0
    open_seconds: float = 0.0


class HostAmounts(Struct, frozen=True):
    """What of a preview concerns one host."""

    id: int
    name: str
    proposed: Amount
    present: Amount
    recorded: Amount


class Sum(Struct, frozen=True):
    """The events of all hosts, and how many hosts have any."""

    events: int
    open_seconds: float
    hosts: int


class Preview(Struct, frozen=True):
    """What would have opened under a proposed policy, beside what the present ones would have, and what did open.

    ``proposed`` and ``present`` are None where the history that is stored cannot tell: ``notes`` say why.
    """

    start: float
    end: float
    hosts: int
    """In the scope of the policy."""
    resolution_seconds: int | None
    """0 where every snapshot was replayed, else the length of what was; None where nothing was."""
    notes: tuple[str, ...]
    proposed: Sum | None
    present: Sum | None
    recorded: Sum
    by_host: tuple[HostAmounts, ...]
    """Those that have any, where most changes first; not all, where they are many."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Preview)


def encode_preview(preview: Preview) -> bytes:
    """Return a preview as it is handed over."""
    return _encoder.encode(preview)


def decode_preview(data: bytes) -> Preview:
    """Read what was handed over. Raises msgspec.DecodeError."""
    return _decoder.decode(data)
