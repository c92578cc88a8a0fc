"""What a drain writes besides snapshots: events, the latest details, gaps, dead letters."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from store.arrays import Blobs, Floats, Integers, unnested
from store.schema import dead_letters, gaps, hosts

MAX_DEAD_LETTERS = 10_000
MAX_GAPS = 1000
"""That are kept of one host."""
_MAX_DEAD_ENTRY_BYTES = 4096

_TYPES = dict.fromkeys(("type", "subject", "severity", "state", "evidence"), "text[]") | {"flapping": "bool[]"}
_ARRAYS: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    **dict.fromkeys(_TYPES, list),
    **dict.fromkeys(("host_id", "openings"), Integers),
}
"""How a column of events becomes a parameter; any other is one of doubles."""

_EVENT_KEY = ("host_id", "type", "subject")
_EVENT_CHANGES = ("severity", "state", "limit_value", "value", "peak_value", "peak_at", "last_at", "resolved_at")
_CHANGED = (*_EVENT_CHANGES, *_EVENT_KEY)
_REOPENS = ("openings", "reopened_at", "flapping", "evidence")
_REOPENED = (*_EVENT_CHANGES, *_REOPENS)
_REOPENED_KEY = (*_EVENT_KEY, "opened_at")
_NEW = (*_EVENT_KEY, *_EVENT_CHANGES, *_REOPENS, "first_value", "started_at", "opened_at")


_UPDATE_EVENTS_SQLITE = (
    f"UPDATE events SET {', '.join(f'{name} = ?' for name in _EVENT_CHANGES)} "  # noqa: S608 - our own column names
    f"WHERE {' AND '.join(f'{name} = ?' for name in _EVENT_KEY)} AND state = 'open'"
)
_UPDATE_EVENTS_POSTGRES = (
    f"UPDATE events AS e SET {', '.join(f'{name} = u.{name}' for name in _EVENT_CHANGES)} "  # noqa: S608 - as above
    f"FROM {unnested(_CHANGED, _TYPES)} "
    f"WHERE {' AND '.join(f'e.{name} = u.{name}' for name in _EVENT_KEY)} AND e.state = 'open'"
)

# It is seen anew: as if nobody had acknowledged it, resolved it, cleared it away or explained it.
_AS_UNSEEN = "acknowledged_at = NULL, acknowledged_by = NULL, resolved_by = NULL, cleared_at = NULL, explanation = NULL"
# A host's clock that was set back may give two events one time.
_REOPEN_SQLITE = (
    f"UPDATE events SET {', '.join(f'{name} = ?' for name in _REOPENED)}, {_AS_UNSEEN} "  # noqa: S608 - as above
    f"WHERE id = (SELECT max(id) FROM events WHERE {' AND '.join(f'{name} = ?' for name in _REOPENED_KEY)}) "
    "RETURNING id"
)
_REOPEN_POSTGRES = (
    f"UPDATE events AS e SET {', '.join(f'{name} = u.{name}' for name in _REOPENED[:-1])}, "  # noqa: S608 - as above
    f"evidence = u.evidence::jsonb, {_AS_UNSEEN} "
    "FROM (SELECT u.*, (SELECT max(o.id) FROM events AS o WHERE "
    f"{' AND '.join(f'o.{name} = u.{name}' for name in _REOPENED_KEY)}) AS id "
    f"FROM {unnested((*_REOPENED, *_REOPENED_KEY), _TYPES)}) AS u WHERE e.id = u.id RETURNING e.id"
)

_INTO_EVENTS = f"INSERT INTO events ({', '.join(_NEW)})"
_INSERT_SQLITE = f"{_INTO_EVENTS} VALUES ({', '.join('?' * len(_NEW))}) ON CONFLICT DO NOTHING"
_INSERT_POSTGRES = (
    f"{_INTO_EVENTS} SELECT {', '.join('evidence::jsonb' if name == 'evidence' else name for name in _NEW)} "  # noqa: S608 - as above
    f"FROM {unnested(_NEW, _TYPES)} ON CONFLICT DO NOTHING"
)

_EARLIER_SECONDS = 600
_IS_PAST = f"COALESCE(h.earlier_taken_at, 0) NOT BETWEEN excluded.taken_at - {_EARLIER_SECONDS} AND excluded.taken_at"
# All that a SET reads is the row as it was.
_REPLACE_DETAILS = f"""
    ON CONFLICT (host_id) DO UPDATE SET taken_at = excluded.taken_at, details = excluded.details,
    earlier_taken_at = CASE WHEN {_IS_PAST} THEN h.taken_at ELSE h.earlier_taken_at END,
    earlier_details = CASE WHEN {_IS_PAST} THEN h.details ELSE h.earlier_details END"""
_INTO_DETAILS = "INSERT INTO host_details AS h (host_id, taken_at, details)"
_WRITE_DETAILS_SQLITE = f"{_INTO_DETAILS} VALUES (?, ?, ?) {_REPLACE_DETAILS}"
_WRITE_DETAILS_POSTGRES = (
    f"{_INTO_DETAILS} SELECT * FROM {unnested(('host_id', 'taken_at', 'details'))} "  # noqa: S608 - as above
    f"{_REPLACE_DETAILS}"
)


class DeadLetter(NamedTuple):
    """An entry that was refused, or authentic but unreadable, and why."""

    shard: int
    host_id: int | None
    incarnation: int | None
    sequence: int | None
    reason: str
    entry: bytes


def update_events(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    """Change open events, each named by host_id, type and subject; the other keys are columns."""
    if not changes:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_UPDATE_EVENTS_POSTGRES, _arrays(_CHANGED, changes))
    else:
        connection.exec_driver_sql(_UPDATE_EVENTS_SQLITE, _tuples(_CHANGED, changes))


def reopen_events(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> list[int]:
    """Change events that opened again, each named by host_id, type, subject and opened_at; return their ids.

    One that somebody resolved is open again too, where its ``state`` says so.
    """
    if not changes:
        return []
    names = (*_REOPENED, *_REOPENED_KEY)
    rows = [_with_json(change) for change in changes]
    if connection.dialect.name == "postgresql":
        return list(connection.exec_driver_sql(_REOPEN_POSTGRES, _arrays(names, rows)).scalars())
    # SQLite returns no rows of many statements at once.
    found = (connection.exec_driver_sql(_REOPEN_SQLITE, row).scalars() for row in _tuples(names, rows))
    return [event_id for ids in found for event_id in ids]


def insert_events(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write new events, by column; one that is open already stays as it is."""
    if not rows:
        return
    new = [_with_json(row) for row in rows]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_INSERT_POSTGRES, _arrays(_NEW, new))
    else:
        connection.exec_driver_sql(_INSERT_SQLITE, _tuples(_NEW, new))


def _with_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "evidence": msgspec.json.encode(row["evidence"]).decode()}


def _arrays(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(_ARRAYS.get(name, Floats)([row[name] for row in rows]) for name in names)


def _tuples(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def write_details(connection: Connection, rows: Sequence[tuple[int, float, bytes]]) -> None:
    """Keep the latest details of hosts, given as (host id, taken_at, details).

    What they replace becomes the host's earlier copy once that is more than ten minutes older than the new ones.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        host_ids, taken_at, details = zip(*rows, strict=True)
        connection.exec_driver_sql(_WRITE_DETAILS_POSTGRES, (Integers(host_ids), Floats(taken_at), Blobs(details)))
    else:
        connection.exec_driver_sql(_WRITE_DETAILS_SQLITE, list(rows))


def write_gaps(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record runs of sequence numbers that hosts dropped, by column."""
    if rows:
        connection.execute(_dialect(connection).insert(gaps).on_conflict_do_nothing(), [dict(row) for row in rows])


def write_dead_letters(connection: Connection, letters: Sequence[DeadLetter], received_at: float) -> None:
    """Keep refused entries, for a person to look at."""
    if letters:
        connection.execute(
            insert(dead_letters),
            [
                letter._asdict() | {"received_at": received_at, "entry": letter.entry[:_MAX_DEAD_ENTRY_BYTES]}
                for letter in letters
            ],
        )


def trim_dead_letters(connection: Connection) -> int:
    """Delete all but the newest dead letters; return how many went."""
    newest = select(func.max(dead_letters.c.id)).scalar_subquery()
    return connection.execute(delete(dead_letters).where(dead_letters.c.id <= newest - MAX_DEAD_LETTERS)).rowcount


def trim_gaps(connection: Connection) -> int:
    """Delete all but the newest gaps of each host; return how many went."""
    key = (gaps.c.host_id, gaps.c.incarnation, gaps.c.first_sequence)
    age = func.row_number().over(
        partition_by=gaps.c.host_id,
        order_by=(gaps.c.received_at.desc(), gaps.c.incarnation.desc(), gaps.c.first_sequence.desc()),
    )
    ranked = select(*key, age.label("age")).subquery()
    past = select(ranked.c.host_id, ranked.c.incarnation, ranked.c.first_sequence).where(ranked.c.age > MAX_GAPS)
    return connection.execute(delete(gaps).where(tuple_(*key).in_(past))).rowcount


def require_incarnation(connection: Connection, minimum_by_host: Mapping[int, int]) -> None:
    """Ask for an incarnation of at least the given one of each host, by host id."""
    for host_id, minimum in minimum_by_host.items():
        connection.execute(update(hosts).where(hosts.c.id == host_id).values(minimum_incarnation=minimum))


def _dialect(connection: Connection) -> ModuleType:
    return postgresql if connection.dialect.name == "postgresql" else sqlite
