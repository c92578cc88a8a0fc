"""The desired config of a host, which flows back to its collector through Redis as JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MINIMUM_INTERVAL_SECONDS = 1.0
MAXIMUM_INTERVAL_SECONDS = 3600.0
SERVICE_NAME_PATTERN = r"^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,254}$"
"""A systemd unit name; the first character is no dash, so that it is never read as an option."""

ServiceName = Annotated[str, Meta(pattern=SERVICE_NAME_PATTERN)]


class HostConfig(Struct, frozen=True, omit_defaults=True):
    """What the server asks of a collector. ``interval_seconds`` of None leaves the collector's own; a collector
    whose incarnation is below ``minimum_incarnation`` starts a new one (its host was cloned).
    """

    paused: bool = False
    interval_seconds: Annotated[float, Meta(ge=MINIMUM_INTERVAL_SECONDS, le=MAXIMUM_INTERVAL_SECONDS)] | None = None
    services: Annotated[tuple[ServiceName, ...], Meta(max_length=256)] = ()
    minimum_incarnation: int = 0


_decoder = msgspec.json.Decoder(HostConfig)


def encode_config(config: HostConfig) -> bytes:
    """Return the value of a host's config key."""
    return msgspec.json.encode(config)


def decode_config(value: bytes) -> HostConfig:
    """Read a config key's value. Raises ValueError (msgspec.DecodeError) when it is none."""
    return _decoder.decode(value)
