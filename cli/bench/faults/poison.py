"""Entries that no good collector makes: what a drain must get past, whatever it makes of them."""

import math
import secrets
from collections.abc import Sequence
from random import Random

import msgspec

from cli.bench.faults.life import read
from cli.bench.faults.witness import Seen
from store.enrollment import EnrolledHost
from wire.entry import GAP, KEY_BYTES, seal
from wire.snapshot import MAX_BODY_BYTES, SNAPSHOT_VERSION, Gap, Snapshot, encode_gap, encode_snapshot

_HIGHEST = 2**63 - 1
_NO_SUCH_KIND = 9


def unreadable(random: Random) -> list[bytes]:
    """Return bytes that are no entry."""
    return [b"\xc1 poison", b"", random.randbytes(40), b"\x91" * 10_000]


def forged(seen: Sequence[Seen]) -> list[Seen]:
    """Return for each host the entry that would be its next, signed by somebody else."""
    latest = {msgspec.msgpack.decode(one.entry)[0]: one for one in seen}
    made = []
    for one in latest.values():
        host, incarnation, sequence, sent_at, kind, body, _ = msgspec.msgpack.decode(one.entry)
        wrong_key = secrets.token_bytes(KEY_BYTES)
        made.append(Seen(one.inbox, seal(wrong_key, host, incarnation, sequence + 1, sent_at, body, kind)))
    return made


def bad_bodies(host: EnrolledHost, incarnation: int, now: float) -> list[bytes]:
    """Return entries that are signed and in order, and whose bodies are none."""
    odd = Snapshot(SNAPSHOT_VERSION, math.inf, math.nan, b"\0" * 7)
    bodies = [
        b"\xc1",
        b"\x91" * 50_000,
        encode_snapshot(msgspec.structs.replace(odd, version=2)),
        encode_snapshot(odd),
        bytes(MAX_BODY_BYTES + 1),
    ]
    entries = [seal(host.key, host.id, incarnation, at, now, body) for at, body in enumerate(bodies, 1)]
    after = len(bodies)
    entries.append(seal(host.key, host.id, incarnation, after + 1, now, b"", _NO_SUCH_KIND))
    entries.append(seal(host.key, host.id, incarnation, after + 2, math.nan, encode_gap(Gap(9, 3, "\0")), GAP))
    return entries


def at_the_end_of_numbers(host: EnrolledHost, now: float) -> list[bytes]:
    """Return two bodies under one position, the highest that there is: after it there is no incarnation to ask for."""
    return [seal(host.key, host.id, _HIGHEST, 1, now, read(0, number, now).body) for number in (1, 2)]
