"""What a script says of itself in the block of values that Fleetmedic wrote into it. Anybody may have changed it."""

import re
from typing import Literal, NamedTuple

_ASSIGNMENT = re.compile(rb"^(\$?)FM_(REMEDY|EVENT)\s?=\s?'([a-z0-9_]{0,64})'\r?$", re.MULTILINE)
_HIGHEST_ID = 2**63 - 1


class Provenance(NamedTuple):
    """What a file says that it is."""

    remedy: str
    script_type: Literal["bash", "powershell"]
    event_id: int | None


def provenance_of(body: bytes) -> Provenance | None:
    """Return what a file says of itself, None where it says nothing that a script of ours would."""
    said: dict[bytes, tuple[bytes, str]] = {}
    for sign, name, value in _ASSIGNMENT.findall(body):
        said.setdefault(name, (sign, value.decode("ascii")))
    sign, remedy = said.get(b"REMEDY", (b"", ""))
    if not remedy:
        return None
    _, event = said.get(b"EVENT", (b"", ""))
    is_id = event.isdigit() and 1 <= int(event) <= _HIGHEST_ID
    return Provenance(remedy, "powershell" if sign else "bash", int(event) if is_id else None)
