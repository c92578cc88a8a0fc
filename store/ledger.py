"""What became of each host's sequence numbers.

Most hosts have no row: all that they gave a number arrived once and in order, and their position tells how much that
is. Only what is out of the ordinary is written, so an ordinary drain pays nothing for it.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from store.arrays import Floats, Integers, as_json, unnested
from store.engine import driver_cursor


class Ledger(Struct, gc=False):
    """A row of ``host_ledger``, whose columns tell what the fields are."""

    earlier_sequences: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    lost: int = 0
    unevaluated: int = 0
    resent: int = 0
    discarded: int = 0
    throttled: int = 0
    ahead_incarnation: int = 0
    ahead_sequence: int = 0
    ahead_at: float = 0.0
    spent_until: float = 0.0


_FIELDS = Ledger.__struct_fields__
COUNTS = _FIELDS[:8]
"""What only grows."""
_TIMES = ("ahead_at", "spent_until")
_PLACES = ", ".join("?" * (1 + len(_FIELDS)))
_COLUMNS = ", ".join(("host_id", *_FIELDS))
_READ = f"SELECT {_COLUMNS} FROM host_ledger WHERE host_id"  # noqa: S608 - our own column names
_WRITE_POSTGRES = (
    f"INSERT INTO host_ledger ({_COLUMNS}) SELECT * FROM {unnested(('host_id', *_FIELDS))} "  # noqa: S608 - as above
    + "ON CONFLICT (host_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)
)
_WRITE_SQLITE = f"INSERT OR REPLACE INTO host_ledger ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608


def ledgers(connection: Connection, host_ids: Sequence[int]) -> dict[int, Ledger]:
    """Return the ledger of each of these hosts that has one, by host id."""
    if not host_ids:
        return {}
    if connection.dialect.name == "postgresql":
        with driver_cursor(connection) as cursor:
            cursor.execute(_READ + " = ANY(%b)", (Integers(host_ids),), binary=True)
            rows = cursor.fetchall()
    else:
        wanted = as_json(host_ids)
        query = _READ + " IN (SELECT value FROM json_each(?))"  # noqa: S608 - no value
        rows = connection.exec_driver_sql(query, (wanted,)).fetchall()
    return {host_id: Ledger(*fields) for host_id, *fields in rows}


def write_ledgers(connection: Connection, changed: Mapping[int, Ledger]) -> None:
    """Write these ledgers, by host id."""
    if not changed:
        return
    rows = [(host_id, *msgspec.structs.astuple(ledger)) for host_id, ledger in changed.items()]
    if connection.dialect.name == "postgresql":
        columns = [list(column) for column in zip(*rows, strict=True)]
        kinds = (Integers, *(Floats if name in _TIMES else Integers for name in _FIELDS))
        connection.exec_driver_sql(
            _WRITE_POSTGRES, tuple(kind(column) for kind, column in zip(kinds, columns, strict=True))
        )
    else:
        connection.exec_driver_sql(_WRITE_SQLITE, rows)
