"""The one secret that a collector is given: its host id and key, in one string that survives a shell."""

import base64
import binascii

from wire.entry import KEY_BYTES


def format_host_key(host_id: int, key: bytes) -> str:
    """Return ``ID.BASE64URL``, the value of FLEETMEDIC_HOST_KEY."""
    return f"{host_id}.{base64.urlsafe_b64encode(key).decode().rstrip('=')}"


def parse_host_key(text: str) -> tuple[int, bytes]:
    """Read a host key as (host id, key). Raises ValueError with what is wrong, never with the key itself."""
    head, dot, tail = text.strip().partition(".")
    if not (dot and head.isascii() and head.isdigit() and int(head) > 0):
        raise ValueError("a host key is ID.SECRET, as `fleetmedic enroll` prints it")
    try:
        key = base64.b64decode(tail + "=" * (-len(tail) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the secret of the host key is not base64url: was it cut short?") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"the secret of the host key has {len(key)} bytes instead of {KEY_BYTES}")
    return int(head), key
