"""Reads of one metric of many hosts over days, as columns: what a preview of a policy replays.

A week of a thousand hosts is two million roll-ups at 5 minutes: no row of them becomes an object, nor a message. The
database puts those of a host together: Postgres as one bytea, SQLite, which cannot do that with BLOBs, as one long
hexadecimal text. Rows of an older catalogue, which do not have the metric, are left out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from store.arrays import Floats, Integers, as_json
from store.engine import driver_cursor
from store.packed import Part
from store.rollups import Table
from wire.metrics import INDEX

# A snapshot is received after it was taken, but for a clock that is a little ahead.
_CLOCK_TOLERANCE_SECONDS = 3600.0
_SNAPSHOT = np.dtype([("incarnation", ">i8"), ("sequence", ">i8"), ("at", ">f8"), ("value", ">f4")])


class Readings(NamedTuple):
    """n values, by host and then by time. NaN for missing."""

    host_id: NDArray[np.int64]
    at: NDArray[np.float64]
    """When it was taken, or the start of its bucket, in Unix seconds."""
    average: NDArray[np.float32]
    least: NDArray[np.float32]
    most: NDArray[np.float32]

    def where(self, wanted: NDArray[Any]) -> "Readings":
        """Return those only, by a mask or by their places."""
        return Readings(*(column[wanted] for column in self))


class Span(NamedTuple):
    """From when to before when, in Unix seconds."""

    start: float
    end: float


class Spans(NamedTuple):
    """Spans of hosts, one column each."""

    host_id: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]


class PastEvent(NamedTuple):
    """An event that did open."""

    host_id: int
    subject: str
    opened_at: float
    resolved_at: float | None


def of_rollups(connection: Connection, table: Table, metric: str, spans: Spans, *, extremes: bool) -> Readings:
    """Return the roll-ups of one metric that start within a span of their host.

    Without the ``extremes`` minimum and maximum are not read: the average stands for both.
    """
    place = INDEX[metric]
    if connection.dialect.name == "postgresql":
        return _rollups_of_postgres(connection, table, place, spans, 3 if extremes else 1)
    return _rollups_of_sqlite(connection, table, place, spans, 3 if extremes else 1)


def of_snapshots(connection: Connection, metric: str, host_ids: Sequence[int], span: Span) -> Readings:
    """Return one metric of the hosts' snapshots that were taken within a span, each host's in its own order."""
    value, place = Part([metric]), INDEX[metric]
    given = (span.start, span.end, span.start - _CLOCK_TOLERANCE_SECONDS)
    if connection.dialect.name == "postgresql":
        query = f"""
            SELECT host_id, string_agg(
                int8send(incarnation) || int8send(sequence) || float8send(taken_at) || {value.sql("core")}, ''::bytea
            ) FROM snapshots
            WHERE host_id = ANY(%b) AND taken_at >= %b AND taken_at < %b AND received_at >= %b
                AND octet_length(core) > {4 * place}
            GROUP BY host_id"""  # noqa: S608 - no value
        with driver_cursor(connection) as cursor:
            found = cursor.execute(query, (Integers(host_ids), *given), binary=True).fetchall()
        return _of_packed_snapshots([row[0] for row in found], [row[1] for row in found])
    query = f"""
        SELECT host_id, taken_at, {value.sql("core")} FROM snapshots
        WHERE host_id IN (SELECT value FROM json_each(?)) AND taken_at >= ? AND taken_at < ? AND received_at >= ?
            AND length(core) > {4 * place}
        ORDER BY host_id, incarnation, sequence"""  # noqa: S608 - no value
    rows = connection.exec_driver_sql(query, (as_json(host_ids), *given)).fetchall()
    values = value.read([row[2] for row in rows])[:, 0]
    host_id, at = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64)
    return Readings(host_id, at, values, values, values)


def snapshots_a_second(connection: Connection, host_ids: Sequence[int]) -> float:
    """Return how many snapshots these hosts take together, at the pace of the last ones."""
    total = "SELECT sum(1.0 / interval_seconds) FROM host_state WHERE host_id "
    if connection.dialect.name == "postgresql":
        return connection.exec_driver_sql(total + "= ANY(%b)", (Integers(host_ids),)).scalar() or 0.0
    each = "IN (SELECT value FROM json_each(?))"
    return connection.exec_driver_sql(total + each, (as_json(host_ids),)).scalar() or 0.0


def events_of(connection: Connection, event_type: str, host_ids: Sequence[int], span: Span) -> list[PastEvent]:
    """Return the events of a type that opened within a span on any of these hosts."""
    query = "SELECT host_id, subject, opened_at, resolved_at FROM events WHERE host_id "
    if connection.dialect.name == "postgresql":
        query += "= ANY(%b) AND type = %b AND opened_at >= %b AND opened_at < %b"
        rows = connection.exec_driver_sql(query, (Integers(host_ids), event_type, *span))
    else:
        query += "IN (SELECT value FROM json_each(?)) AND type = ? AND opened_at >= ? AND opened_at < ?"
        rows = connection.exec_driver_sql(query, (as_json(host_ids), event_type, *span))
    return [PastEvent(*row) for row in rows]


def _rollups_of_postgres(connection: Connection, table: Table, place: int, spans: Spans, vectors: int) -> Readings:
    value = "substring(r.aggregates FROM octet_length(r.aggregates) / 3 * {vector} + {first} FOR 4)"
    values = " || ".join(value.format(vector=vector, first=4 * place + 1) for vector in range(vectors))
    together = f"string_agg(float8send(r.start_at) || {values}, ''::bytea) FROM {table} r WHERE"
    has_it = f"octet_length(r.aggregates) > {12 * place}"
    if len(np.unique(spans.start)) == len(np.unique(spans.end)) == 1:
        # One span of many hosts is read in the order in which it lies there.
        query = f"""
            SELECT r.host_id, {together} r.host_id = ANY(%b) AND r.start_at >= %b AND r.start_at < %b AND {has_it}
            GROUP BY r.host_id"""
        parameters: tuple[object, ...] = (Integers(spans.host_id), float(spans.start[0]), float(spans.end[0]))
    else:
        # A subquery for each span, not a join: for that all hosts' roll-ups would be sorted.
        query = f"""
            SELECT u.host_id, (
                SELECT {together} r.host_id = u.host_id AND r.start_at >= u.start_at AND r.start_at < u.end_at
                    AND {has_it}
            ) FROM unnest(%b, %b, %b) AS u (host_id, start_at, end_at)"""  # noqa: S608 - no value
        parameters = (Integers(spans.host_id), Floats(spans.start), Floats(spans.end))
    with driver_cursor(connection) as cursor:
        cursor.execute(query, parameters, binary=True)
        found = cursor.fetchall()
    return _of_packed(np.array([row[0] for row in found], np.int64), [row[1] or b"" for row in found], ">f8", vectors)


def _rollups_of_sqlite(connection: Connection, table: Table, place: int, spans: Spans, vectors: int) -> Readings:
    value = "hex(substr(r.aggregates, length(r.aggregates) / 3 * {vector} + {first}, 4))"
    values = " || ".join(value.format(vector=vector, first=4 * place + 1) for vector in range(vectors))
    # A subquery for each span, not a join that is grouped: that would be sorted.
    query = f"""
        SELECT (
            SELECT group_concat(printf('%08x', r.start_at) || {values}, '') FROM {table} r
            WHERE r.host_id = u.value ->> 0 AND r.start_at >= u.value ->> 1 AND r.start_at < u.value ->> 2
                AND length(r.aggregates) > {12 * place}
        ) FROM json_each(?) u ORDER BY u.id"""  # noqa: S608 - no value
    asked = msgspec.json.encode(list(zip(*(column.tolist() for column in spans), strict=True))).decode()
    packed = [bytes.fromhex(row[0] or "") for row in connection.exec_driver_sql(query, (asked,)).fetchall()]
    return _of_packed(spans.host_id, packed, ">u4", vectors)


def _of_packed(host_id: NDArray[np.int64], packed: Sequence[bytes], time: str, vectors: int) -> Readings:
    """Read what was packed of each host: of one roll-up after the other a time of that type, then so many values."""
    kind = np.dtype([("at", time), ("values", "<f4", (vectors,))])
    rows = np.frombuffer(b"".join(packed), kind)
    counts = [len(one) // kind.itemsize for one in packed]
    return _in_order(host_id.repeat(counts), rows["at"], *(rows["values"][:, vector % vectors] for vector in range(3)))


def _of_packed_snapshots(host_ids: Sequence[int], packed: Sequence[bytes]) -> Readings:
    """Read what was packed of each host: of one snapshot after the other what ``_SNAPSHOT`` names, in any order."""
    rows = np.frombuffer(b"".join(packed), _SNAPSHOT)
    counts = np.array([len(one) // _SNAPSHOT.itemsize for one in packed], np.int64)
    host_id = np.array(host_ids, np.int64).repeat(counts)
    order = np.lexsort((rows["sequence"].astype(np.int64), rows["incarnation"].astype(np.int64), host_id))
    value = rows["value"][order].astype(np.float32)
    return Readings(host_id[order], rows["at"][order].astype(np.float64), value, value, value)


def _in_order(*columns: NDArray[Any]) -> Readings:
    host_id, at, average, least, most = columns
    return Readings(
        host_id.astype(np.int64),
        at.astype(np.float64),
        average.astype(np.float32),
        least.astype(np.float32),
        most.astype(np.float32),
    ).where(np.lexsort((at, host_id)))
