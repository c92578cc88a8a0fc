"""One file of the spool: checksummed records, appended and never changed.

A record is a header and a body. The header holds the CRC-32 of all after it, the length of the body, the record's
ordinal (its place in the spool, counted on for ever), the ordinal up to which all was acknowledged when it was
written, and when its snapshot was taken. The file's name is the ordinal of its first record.
"""

import errno
import os
import struct
import zlib
from array import array
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("<IIQQd")
_CRC_BYTES = 4
SUFFIX = ".records"
_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Record(NamedTuple):
    """One body and its place."""

    ordinal: int
    taken_at: float
    body: bytes

    @property
    def size(self) -> int:
        """Its bytes in a segment."""
        return _HEADER.size + len(self.body)


class Segment:
    """A run of records with consecutive ordinals in one file."""

    def __init__(self, path: Path, first: int, *, create: bool) -> None:
        """Open the file, or create it empty. Raises OSError."""
        self.path = path
        self.first = first
        self.size = 0
        self.acknowledged = 0
        """The highest acknowledged ordinal that its records speak of."""
        self._starts = array("Q")
        self._taken_at = array("d")
        self._descriptor = os.open(path, _FLAGS | (os.O_CREAT | os.O_EXCL if create else 0), 0o600)

    @classmethod
    def create(cls, folder: Path, first: int) -> "Segment":
        """Create an empty segment for records from ``first`` on."""
        return cls(folder / f"{first:020d}{SUFFIX}", first, create=True)

    @classmethod
    def load(cls, path: Path) -> tuple["Segment", bool]:
        """Open a segment that an earlier process wrote, and say whether its end was damaged.

        What follows a record that is cut short or does not match its checksum is cut off.
        Raises OSError, or ValueError when the file's name is not one that a segment has.
        """
        segment = cls(path, int(path.name.removesuffix(SUFFIX)), create=False)
        data = segment._pread(0, os.fstat(segment._descriptor).st_size)
        start = 0
        while (record := _parse(data, start)) and record[0].ordinal == segment.last + 1:
            segment.acknowledged = max(segment.acknowledged, record[1])
            segment._note(record[0])
            start += record[0].size
        damaged = start < len(data)
        if damaged:
            os.ftruncate(segment._descriptor, start)
        return segment, damaged

    @property
    def last(self) -> int:
        """The ordinal of the last record; ``first - 1`` while there is none."""
        return self.first + len(self._starts) - 1

    def taken_at(self, ordinal: int) -> float:
        """Return when the snapshot of a record was taken."""
        return self._taken_at[ordinal - self.first]

    def append(self, record: Record, acknowledged: int) -> None:
        """Write the next record. Raises OSError; then the file is as it was before."""
        rest = _HEADER.pack(0, len(record.body), record.ordinal, acknowledged, record.taken_at)[_CRC_BYTES:]
        rest += record.body
        data = zlib.crc32(rest).to_bytes(_CRC_BYTES, "little") + rest
        try:
            if os.write(self._descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self._note(record)

    def read(self, ordinal: int) -> Record | None:
        """Return a record; None when the file no longer has it whole. Raises OSError."""
        place = ordinal - self.first
        start = self._starts[place]
        end = self._starts[place + 1] if place + 1 < len(self._starts) else self.size
        parsed = _parse(self._pread(start, end - start), 0)
        return parsed[0] if parsed and parsed[0].ordinal == ordinal else None

    def sync(self) -> None:
        """Have the system write the file out, so that it survives a power loss."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Close and delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _note(self, record: Record) -> None:
        self._starts.append(self.size)
        self._taken_at.append(record.taken_at)
        self.size += record.size

    def _pread(self, start: int, length: int) -> bytes:
        os.lseek(self._descriptor, start, os.SEEK_SET)
        return os.read(self._descriptor, length)


def _parse(data: bytes, start: int) -> tuple[Record, int] | None:
    """Return the record at ``start`` and the ordinal acknowledged when it was written; None when it is not whole."""
    body = start + _HEADER.size
    if body > len(data):
        return None
    crc, length, ordinal, acknowledged, taken_at = _HEADER.unpack_from(data, start)
    end = body + length
    if end > len(data) or zlib.crc32(memoryview(data)[start + _CRC_BYTES : end]) != crc:
        return None
    return Record(ordinal, taken_at, data[body:end]), acknowledged
