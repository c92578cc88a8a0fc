"""Reading the small files of Linux' /proc and /sys with as few system calls as there can be."""

import os

_MOST_BYTES = 1 << 20


def read(path: str, size: int = 1 << 16) -> bytes:
    """Return a file's bytes. Raises OSError. ``size`` is a first guess: a longer file is read on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, size)
        if len(data) < size:
            return data
        while len(data) < _MOST_BYTES and (more := os.read(descriptor, size)):
            data += more
        return data
    finally:
        os.close(descriptor)


def number_after(name: bytes, text: bytes) -> float:
    """Return the number that follows ``name`` on its line. Raises ValueError where there is none."""
    start = text.index(name) + len(name)
    number, *_ = text[start : text.index(b"\n", start)].split()
    return float(number)
