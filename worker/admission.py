"""Which entries of an inbox are used: signed by their host, and next in its order (go-back-N). Pure.

Only the successor of what is committed counts: sequence ``last + 1``, the first of a newer incarnation, or a gap that
reaches it. What is earlier came twice; what is later is discarded, and comes again since it is not acknowledged.
So does what a host pushes beyond its credit (``worker.throttle``).
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat

from msgspec import Struct, field
from msgspec.structs import replace

from store.positions import Position
from store.records import DeadLetter
from wire import keys
from wire.entry import GAP, SNAPSHOT, Entry, is_authentic, open_entries, open_entry
from wire.snapshot import MAX_BODY_BYTES, Gap, Snapshot, Unreadable, decode_gap, decode_snapshot
from worker.ledger import Addition, Ended
from worker.throttle import Credit

# A host that pushes rubbish must not fill the database by it.
_MOST_DEAD_LETTERS = 100


class Line(Struct):
    """One host's place in the order while its entries are gone through."""

    shard: int
    position: Position
    incarnation: int
    sequence: int
    known_crc: int
    """``body_crc`` before this drain."""
    body: bytes | None = None
    """That of ``sequence``, where it came in this drain."""
    rows: list[int] = field(default_factory=list)
    """Its rows in ``Admitted.snapshots``."""
    cloned: bool = False
    """Whether another body came under a sequence number that was taken."""
    addition: Addition | None = None
    """To its ledger; None where all came once and in order."""
    credit: Credit | None = None
    """None while nobody watches how much it pushes."""

    @property
    def body_crc(self) -> int:
        """CRC-32 of the body of ``sequence``, 0 where that was no snapshot."""
        return self.known_crc if self.body is None else zlib.crc32(self.body)

    @property
    def moved(self) -> bool:
        """Whether there is anything to write."""
        return self.sequence != self.position.sequence or self.incarnation != self.position.incarnation

    @property
    def noted(self) -> Addition:
        """What is added to its ledger, to be added to."""
        if self.addition is None:
            self.addition = Addition()
        return self.addition


class Admitted(Struct):
    """What a drain takes in: snapshots and gaps in each host's order, and what it refuses."""

    lines: dict[int, Line] = field(default_factory=dict)
    """By host id; hosts of which nothing authentic came are not there."""
    entries: list[Entry] = field(default_factory=list)
    """Of the snapshots, one for one."""
    snapshots: list[Snapshot] = field(default_factory=list)
    gaps: list[tuple[Entry, Gap]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    refused: int = 0
    """Entries that became dead letters, those that were too many to keep included."""

    def refuse(self, shard: int, data: bytes, reason: str, entry: Entry | None = None) -> None:
        """Make an entry a dead letter."""
        self.refused += 1
        if len(self.dead_letters) < _MOST_DEAD_LETTERS:
            host, incarnation, sequence = (
                (entry.host, entry.incarnation, entry.sequence) if entry else (None, None, None)
            )
            self.dead_letters.append(DeadLetter(shard, host, incarnation, sequence, reason, data))


class Opened(Struct, gc=False):
    """An entry that could be read; nobody has vouched for it yet."""

    shard: int
    data: bytes
    entry: Entry


def open_all(heads: Mapping[int, Sequence[bytes]], admitted: Admitted) -> list[Opened]:
    """Read the entries of each shard, in order; what is none becomes a dead letter in ``admitted``."""
    opened: list[Opened] = []
    for shard, entries in heads.items():
        try:
            opened += map(Opened, repeat(shard), entries, open_entries(entries))
        except Unreadable:
            opened += _readable(shard, entries, admitted)
    return opened


def _readable(shard: int, entries: Sequence[bytes], admitted: Admitted) -> Iterator[Opened]:
    for data in entries:
        try:
            yield Opened(shard, data, open_entry(data))
        except Unreadable as error:
            admitted.refuse(shard, data, str(error))


def admit(
    opened: Sequence[Opened],
    positions: Mapping[int, Position],
    admitted: Admitted,
    refusal: str | None = None,
    watched: Mapping[int, Credit] | None = None,
) -> None:
    """Go through the entries in order and take in what is signed and next in line.

    With a ``refusal`` what would be taken in becomes a dead letter for that reason, and its host moves on.
    ``watched`` are the credits of the hosts that have many entries.
    """
    lines = admitted.lines
    for item in opened:
        entry = item.entry
        position = positions.get(entry.host)
        line = lines.get(entry.host)
        if line is not None and line.credit is not None and line.credit.is_spent:
            # Unread: a flood costs least where nobody looks whether it is signed.
            line.noted.throttled += 1
        elif position is None:
            admitted.refuse(item.shard, item.data, "unknown host", entry)
        elif position.key is None:
            admitted.refuse(item.shard, item.data, "revoked host", entry)
        elif not is_authentic(position.key, item.data):
            admitted.refuse(item.shard, item.data, "wrong signature", entry)
        elif item.shard != (keys.shard_of(entry.host) if line is None else line.shard):
            admitted.refuse(item.shard, item.data, "inbox of another shard", entry)
        else:
            if line is None:
                line = Line(item.shard, position, position.incarnation, position.sequence, position.body_crc)
                line.credit = watched.get(entry.host) if watched else None
                lines[entry.host] = line
            if line.credit is None:
                _take(item, line, admitted, refusal)
            elif line.credit.is_spent:
                line.noted.throttled += 1
            else:
                rows = len(line.rows)
                _take(item, line, admitted, refusal)
                line.credit.spend(admitted.snapshots[-1].taken_at if len(line.rows) > rows else None)


def _take(item: Opened, line: Line, admitted: Admitted, refusal: str | None) -> None:
    entry = item.entry
    newer = entry.incarnation > line.incarnation
    if entry.kind == GAP:
        _take_gap(item, line, newer, admitted, refusal)
        return
    if not (newer and entry.sequence == 1) and (
        entry.incarnation != line.incarnation or entry.sequence != line.sequence + 1
    ):
        _pass_over(entry, line, newer, refusal)
        return
    if newer:
        _end(line)
    line.incarnation, line.sequence, line.known_crc, line.body = entry.incarnation, entry.sequence, 0, None
    # From here on the host has moved on, whatever is in the body: an authentic entry never blocks its line.
    try:
        if refusal is not None:
            raise Unreadable(refusal)
        if entry.kind != SNAPSHOT:
            raise Unreadable(f"kind {entry.kind}: this reader knows {SNAPSHOT} and {GAP}")
        if len(entry.body) > MAX_BODY_BYTES:
            raise Unreadable(f"snapshot of {len(entry.body)} bytes: {MAX_BODY_BYTES} are the most")
        snapshot = decode_snapshot(entry.body)
    except Unreadable as error:
        admitted.refuse(item.shard, item.data, str(error), entry)
        line.noted.dead_lettered += 1
        return
    line.body = entry.body
    line.rows.append(len(admitted.snapshots))
    admitted.snapshots.append(snapshot)
    admitted.entries.append(entry)


def _end(line: Line) -> None:
    """Note that the line's incarnation is over."""
    if line.incarnation:
        line.noted.ended.append(Ended(line.incarnation, line.sequence))


def _pass_over(entry: Entry, line: Line, newer: bool, refusal: str | None) -> None:
    noted = line.noted
    if newer or (entry.incarnation == line.incarnation and entry.sequence > line.sequence):
        noted.discarded += 1
        noted.ahead[entry.incarnation] = max(noted.ahead.get(entry.incarnation, 0), entry.sequence)
        return
    noted.resent += 1
    if (
        entry.kind != GAP
        and entry.incarnation == line.incarnation
        and entry.sequence == line.sequence
        and refusal is None
        and line.body_crc not in (0, zlib.crc32(entry.body))
    ):
        line.cloned = True


def _take_gap(item: Opened, line: Line, newer: bool, admitted: Admitted, refusal: str | None) -> None:
    entry = item.entry
    behind = 0 if newer else line.sequence
    try:
        if refusal is not None:
            raise Unreadable(refusal)
        gap = decode_gap(entry.body)
        if gap.last != entry.sequence:
            raise Unreadable(f"gap up to {gap.last} under sequence {entry.sequence}")
    except Unreadable as error:
        if not newer and (entry.incarnation != line.incarnation or entry.sequence <= line.sequence):
            return
        admitted.refuse(item.shard, item.data, str(error), entry)
        # Nothing else says what became of the numbers that it passes.
        gap = Gap(behind + 1, entry.sequence, str(error))
    if (newer and gap.first == 1) or (
        entry.incarnation == line.incarnation and gap.first <= line.sequence + 1 <= gap.last
    ):
        if newer:
            _end(line)
        line.incarnation, line.sequence, line.known_crc, line.body = entry.incarnation, gap.last, 0, None
        line.noted.dropped += gap.last - behind
        admitted.gaps.append((entry, replace(gap, first=behind + 1)))
    else:
        _pass_over(entry, line, newer, refusal)
