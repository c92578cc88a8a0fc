"""Whole columns as parameters of a statement: JSON on SQLite; on Postgres arrays in the binary format, made by NumPy.

PostgreSQL's array_send: number of dimensions, whether there are NULLs, type of the elements, then length and lower
bound of the dimension, then length and value of each element. psycopg's own dumper takes ten times as long.
"""

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray
from psycopg import adapters
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = np.dtype([("dimensions", ">i4"), ("nulls", ">i4"), ("type", ">i4"), ("length", ">i4"), ("bound", ">i4")])
_LENGTH = struct.Struct(">i")
_NULL_LENGTH = _LENGTH.pack(-1)
_INT8, _FLOAT8, _BYTEA, _INT8_ARRAY, _FLOAT8_ARRAY, _BYTEA_ARRAY = 20, 701, 17, 1016, 1022, 1001


class Integers:
    """A column of 64-bit integers."""

    def __init__(self, values: Sequence[int] | NDArray[np.int64]) -> None:
        self.binary = _binary(np.array(values, ">i8"), _INT8, None)


class Floats:
    """A column of doubles; None and NaN are NULL."""

    def __init__(self, values: Sequence[float | None] | NDArray[np.float64]) -> None:
        column = np.array(values, np.float64)
        self.binary = _binary(column.astype(">f8"), _FLOAT8, np.isnan(column))


class Blobs:
    """A column of bytes; None is NULL."""

    def __init__(self, values: Sequence[bytes | None]) -> None:
        lengths = (_NULL_LENGTH if value is None else _LENGTH.pack(len(value)) for value in values)
        elements = chain.from_iterable(zip(lengths, (value or b"" for value in values), strict=True))
        self.binary = _header(None in values, _BYTEA, len(values)) + b"".join(elements)


def unnested(names: Sequence[str], types: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the FROM item ``u`` of Postgres that has a row of these names for each place of as many arrays.

    ``types`` are those of arrays that psycopg does not tell. As a function in FROM each array would first be written
    out as a table of its own.
    """
    marks = (f"%b::{types[name]}" if name in types else "%b" for name in names)
    return f"(SELECT {', '.join(f'unnest({mark}) AS {name}' for mark, name in zip(marks, names, strict=True))}) AS u"


def as_json(values: Sequence[int]) -> str:
    """Return a column of integers for SQLite's ``json_each``."""
    return msgspec.json.encode(list(values)).decode()


def _binary(values: NDArray[np.generic], element_type: int, missing: NDArray[np.bool_] | None) -> bytes:
    elements = np.empty(len(values), np.dtype([("length", ">i4"), ("value", values.dtype)]))
    elements["length"] = 8
    elements["value"] = values
    nulls = missing is not None and bool(missing.any())
    header = _header(nulls, element_type, len(values))
    if missing is None or not nulls:
        return header + elements.tobytes()
    elements["length"][missing] = -1
    octets = elements.view(np.uint8).reshape(len(values), 12)
    keep = np.ones(octets.shape, bool)
    keep[missing, 4:] = False
    return header + octets[keep].tobytes()


def _header(nulls: bool, element_type: int, length: int) -> bytes:
    return np.array((1, nulls, element_type, length, 1), _HEADER).tobytes()


class _IntegersDumper(Dumper):
    format = Format.BINARY
    oid = _INT8_ARRAY

    def dump(self, obj: Integers) -> bytes:
        return obj.binary


class _FloatsDumper(Dumper):
    format = Format.BINARY
    oid = _FLOAT8_ARRAY

    def dump(self, obj: Floats) -> bytes:
        return obj.binary


class _BlobsDumper(Dumper):
    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: Blobs) -> bytes:
        return obj.binary


adapters.register_dumper(Blobs, _BlobsDumper)
adapters.register_dumper(Integers, _IntegersDumper)
adapters.register_dumper(Floats, _FloatsDumper)
