"""The spool: what was collected and is not acknowledged yet, on disk, bounded in bytes.

What is written is in the system's hands at once: a killed collector loses nothing. There is no fsync for each
snapshot, so a power loss may take the last seconds; then, and whenever a file was found damaged, some numbers may
have been pushed that nobody here remembers, and so what follows belongs to a new incarnation. The file ``intact``
says that this is not so: it holds the boot in which the spool was written, or ``closed`` after an orderly end.
The file ``numbering`` holds what ``collector.numbering`` keeps; the other files are those of ``collector.segment``.
"""

import contextlib
import enum
import logging
import threading
from collections import deque
from pathlib import Path

import msgspec
import psutil

from collector.lock import FolderLock
from collector.numbering import Epoch, Hole, Item, Numbering
from collector.segment import SUFFIX, Record, Segment
from wire.text import visible

log = logging.getLogger(__name__)

_SEGMENTS = 64
_CLOSED = b"closed"
_DAMAGED = "the spool file was damaged"
_FULL = "the spool was full"


class Standing(enum.Enum):
    """What an acknowledgement says about this spool."""

    CURRENT = "the server knows what was acknowledged before, and maybe more"
    BEHIND = "the server's history ends before what it had acknowledged"
    AHEAD = "the server knows numbers that were never given here: the host was cloned or restored"


class Spool:
    """Snapshots in order, from the first unacknowledged one on. Safe to use from several threads."""

    def __init__(self, folder: Path, bound_bytes: int, now: float) -> None:
        """Open the spool in ``folder``, or create it; ``now`` in Unix seconds numbers a new incarnation.

        Raises InUse when another collector has it, or OSError.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder_lock = FolderLock(folder)
        self._folder = folder
        self._bound_bytes = bound_bytes
        self._mutex = threading.RLock()
        self._segments: list[Segment] = []
        self._last = 0
        self._memory: deque[Record] = deque()
        self._memory_bytes = 0
        self._trouble = ""
        self._closed = False
        self._load(int(now * 1000))
        self._mark_intact(_boot())

    @property
    def incarnation(self) -> int:
        """The incarnation of what is appended."""
        return self._numbering.epochs[-1].incarnation

    @property
    def acknowledged(self) -> int:
        """The ordinal up to which all is acknowledged."""
        return self._numbering.acknowledged

    @property
    def last(self) -> int:
        """The ordinal of the newest record."""
        return self._last

    @property
    def size(self) -> int:
        """The bytes it takes, on disk and in memory."""
        return sum(segment.size for segment in self._segments) + self._memory_bytes

    def append(self, body: bytes, taken_at: float) -> int:
        """Keep a body and return its sequence number. A disk that is full is no error: it is kept in memory."""
        with self._mutex:
            self._last += 1
            record = Record(self._last, taken_at, body)
            self._memory.append(record)
            self._memory_bytes += record.size
            self._flush()
            while self.size > self._bound_bytes and self._drop_oldest():
                pass
            return self._last - self._numbering.epochs[-1].base

    def read(self, after: int, most: int, most_bytes: int) -> list[Item]:
        """Return what follows ordinal ``after``, in order, within both limits (but always one, if there is one).

        All of it belongs to the incarnation that is being acknowledged: the next one's first must not reach the
        server before the last of this one is acknowledged, or what was lost between them would never be missed.
        """
        with self._mutex:
            items: list[Item] = []
            place, size = max(after, self.acknowledged) + 1, 0
            epoch = self._numbering.epoch_of(self.acknowledged + 1)
            end = 0 if self._closed else self._numbering.end_of(epoch, self._last)
            while place <= end and len(items) < most:
                item = self._item(place)
                size += len(item.body)
                if items and size > most_bytes:
                    break
                items.append(item)
                place = item.ordinal + 1
            return items

    def acknowledge(self, incarnation: int, sequence: int) -> Standing:
        """Drop what the server has committed, and say how its position stands to ours."""
        with self._mutex:
            ordinal = self._numbering.ordinal_of(incarnation, sequence, self._last)
            if ordinal is None:
                return Standing.AHEAD
            if ordinal < self.acknowledged:
                return Standing.BEHIND
            if ordinal > self.acknowledged and not self._closed:
                self._numbering.acknowledged = ordinal
                self._trim()
            return Standing.CURRENT

    def rewind(self, incarnation: int, sequence: int, reason: str) -> None:
        """Take back an acknowledgement: the server's history ends there. What is no longer here becomes a gap."""
        with self._mutex:
            ordinal = self._numbering.ordinal_of(incarnation, sequence, self._last)
            if ordinal is not None and ordinal < self.acknowledged:
                self._numbering.acknowledged = ordinal
                self._find_holes(reason)
                self._save()

    def start_incarnation(self, incarnation: int) -> None:
        """Renumber what is unacknowledged, and all that follows, as 1, 2, 3 … of ``incarnation``."""
        with self._mutex:
            self._numbering.epochs = [Epoch(incarnation, self.acknowledged)]
            self._save()

    def close(self) -> None:
        """End in order: what was appended survives a power loss too."""
        with self._mutex:
            if self._closed:
                return
            self._flush()
            self._save()
            with contextlib.suppress(OSError):
                for segment in self._segments:
                    segment.sync()
                if not self._memory:
                    self._mark_intact(_CLOSED)
            self._closed = True
            for segment in self._segments:
                segment.close()
            self._segments = []
            self._memory.clear()
            self._folder_lock.release()

    # Reading

    def _item(self, ordinal: int) -> Item:
        hole = self._numbering.hole_at(ordinal)
        if hole:
            return self._numbering.gap(hole)
        if self._memory and ordinal >= self._memory[0].ordinal:
            return self._numbering.snapshot(ordinal, self._memory[ordinal - self._memory[0].ordinal].body)
        segment = next(segment for segment in self._segments if segment.first <= ordinal <= segment.last)
        try:
            record = segment.read(ordinal)
        except OSError:
            record = None
        if record:
            return self._numbering.snapshot(ordinal, record.body)
        hole = Hole(ordinal, ordinal, _DAMAGED, *(2 * [segment.taken_at(ordinal)]))
        self._add_hole(hole)
        return self._numbering.gap(hole)

    # Writing

    def _flush(self) -> None:
        """Write what is in memory to disk, in order; what the disk refuses stays in memory."""
        while self._memory:
            record = self._memory[0]
            try:
                self._segment_for(record).append(record, self.acknowledged)
            except OSError as error:
                self._keep_in_memory(error)
                return
            self._memory.popleft()
            self._memory_bytes -= record.size
        if self._trouble:
            try:
                self._write_numbering()
                self._mark_intact(_boot())
            except OSError as error:
                self._keep_in_memory(error)
                return
            log.info("the spool is on disk again")
            self._trouble = ""

    def _segment_for(self, record: Record) -> Segment:
        newest = self._segments[-1] if self._segments else None
        if newest and newest.last + 1 == record.ordinal and newest.size + record.size <= self._segment_bytes():
            return newest
        segment = Segment.create(self._folder, record.ordinal)
        self._segments.append(segment)
        return segment

    def _segment_bytes(self) -> int:
        return self._bound_bytes // _SEGMENTS

    def _keep_in_memory(self, error: OSError) -> None:
        if self._segments and self._segments[-1].last < self._segments[-1].first:
            self._segments.pop().remove()
        # Numbers may be pushed now that a crash would make us forget.
        with contextlib.suppress(OSError):
            (self._folder / "intact").unlink(missing_ok=True)
        message = visible(str(error))
        if message != self._trouble:
            log.warning("the spool cannot be written, snapshots are kept in memory for now: %s", message)
            self._trouble = message

    def _drop_oldest(self) -> bool:
        """Drop the oldest segment or record, and note the hole; say whether there was one to drop."""
        if self._segments and (len(self._segments) > 1 or self._memory):
            segment = self._segments[0]
            first = max(segment.first, self.acknowledged + 1)
            if first <= segment.last:
                times = segment.taken_at(first), segment.taken_at(segment.last)
                self._add_hole(Hole(first, segment.last, _FULL, *times))
            self._segments.pop(0).remove()
            return True
        if len(self._memory) > 1:
            record = self._memory.popleft()
            self._memory_bytes -= record.size
            self._add_hole(Hole(record.ordinal, record.ordinal, _FULL, *(2 * [record.taken_at])))
            return True
        return False

    def _trim(self) -> None:
        while self._memory and self._memory[0].ordinal <= self.acknowledged:
            self._memory_bytes -= self._memory.popleft().size
        done = [segment for segment in self._segments[:-1] if segment.last <= self.acknowledged]
        if self._numbering.forget() or done:
            self._save()
        for segment in done:
            segment.remove()
        del self._segments[: len(done)]

    def _add_hole(self, hole: Hole) -> None:
        self._numbering.add_hole(hole)
        self._save()

    def _find_holes(self, reason: str) -> None:
        there = [(segment.first, segment.last) for segment in self._segments]
        there += [(self._memory[0].ordinal, self._memory[-1].ordinal)] if self._memory else []
        self._numbering.find_holes(there, self._last, reason)

    # The files beside the segments

    def _load(self, now_ms: int) -> None:
        damaged = not self._is_intact()
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                segment, cut = Segment.load(path)
            except ValueError:
                continue
            damaged |= cut
            if segment.last < segment.first or (self._segments and segment.first <= self._segments[-1].last):
                segment.remove()
            else:
                self._segments.append(segment)
        numbering = self._load_numbering()
        new = numbering is None
        acknowledged = max([numbering.acknowledged if numbering else 0, *(one.acknowledged for one in self._segments)])
        newest = self._segments[-1].last if self._segments else 0
        if numbering is None:
            # Nobody knows the numbers any more: whatever is here is the beginning of a new incarnation.
            acknowledged = max(acknowledged, self._segments[0].first - 1 if self._segments else 0)
            numbering = Numbering([Epoch(now_ms, acknowledged)], [], acknowledged)
        self._numbering = numbering
        numbering.acknowledged = max(acknowledged, numbering.epochs[0].base)
        numbering.forget()
        holes_end = max((hole.last for hole in numbering.holes), default=0)
        self._last = max(numbering.acknowledged, newest, holes_end, numbering.epochs[-1].base)
        if damaged and not new:
            log.warning("the spool in %s did not end in order: a new incarnation follows", self._folder)
            numbering.epochs.append(Epoch(max(now_ms, self.incarnation + 1), self._last))
        self._find_holes(_DAMAGED)
        self._trim()
        self._write_numbering()

    def _load_numbering(self) -> Numbering | None:
        try:
            numbering = msgspec.msgpack.decode((self._folder / "numbering").read_bytes(), type=Numbering)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return numbering if numbering.epochs else None

    def _is_intact(self) -> bool:
        try:
            return (self._folder / "intact").read_bytes() in (_CLOSED, _boot())
        except FileNotFoundError:
            return False

    def _mark_intact(self, mark: bytes) -> None:
        self._write("intact", mark)

    def _save(self) -> None:
        """Write the numbering. Where that fails it is found anew from the records, as far as these go."""
        if self._closed:
            return
        try:
            self._write_numbering()
        except OSError as error:
            self._keep_in_memory(error)

    def _write_numbering(self) -> None:
        self._write("numbering", msgspec.msgpack.encode(self._numbering))

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._folder / f"{name}.new"
        temporary.write_bytes(data)
        temporary.replace(self._folder / name)


def _boot() -> bytes:
    """Name this boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b"%d" % psutil.boot_time()
