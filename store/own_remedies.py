"""The remedies that users add: what the workers found in their folders, good or bad.

A worker publishes its own folder and touches no other's, so workers with different folders do not undo what the others
publish. Any worker renders a remedy of any folder: its scripts are here as well.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.schema import own_remedies


@dataclass(frozen=True)
class Origin:
    """A folder of remedies on a machine. Workers of one machine that have the same folder are one origin."""

    machine: str
    path: str

    @property
    def key(self) -> str:
        """The origin in 64 characters, however long its path is."""
        return hashlib.sha256(f"{self.machine}\0{self.path}".encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Found:
    """One folder of a remedy as a worker found it: good with its document and scripts, or bad with its fault."""

    name: str
    folder: str
    """Its path, for a person."""
    document: dict[str, Any] | None = None
    """A store.remedies.Remedy."""
    scripts: dict[str, str] | None = None
    """Their text, by type."""
    fault: str | None = None

    @property
    def sha256(self) -> str:
        """The sum of all of it but where it lies, in hexadecimal."""
        document = self.document and {**self.document, "source": ""}
        told = msgspec.json.encode([document, self.scripts, self.fault], order="sorted")
        return hashlib.sha256(told).hexdigest()


class Fault(msgspec.Struct, frozen=True):
    """Why a remedy that a user added is left out."""

    folder: str
    fault: str


def publish(connection: Connection, origin: Origin, found: Sequence[Found], now: float) -> None:
    """Put what was found in the place of what this origin had, and note that it was seen now."""
    mine = own_remedies.c.origin == origin.key
    # Two names that differ in what cannot be shown only are one here; both are bad.
    found = list({one.name: one for one in found}.values())
    query = select(own_remedies.c.name, own_remedies.c.sha256).where(mine)
    known = {row.name: row.sha256 for row in connection.execute(query)}
    changed = [one for one in found if known.get(one.name) != one.sha256]
    gone = known.keys() - {one.name for one in found}
    if gone:
        connection.execute(delete(own_remedies).where(mine, own_remedies.c.name.in_(gone)))
    connection.execute(update(own_remedies).where(mine).values(seen_at=now))
    if changed:
        # Another worker on the same folder may publish the same at this moment.
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        new = dialect.insert(own_remedies)
        columns = {column.name: new.excluded[column.name] for column in own_remedies.c if not column.primary_key}
        replacing = new.on_conflict_do_update(index_elements=own_remedies.primary_key, set_=columns)
        connection.execute(replacing, [_row(origin, one, now) for one in changed])


def forget_unseen(connection: Connection, seen_before: float) -> None:
    """Take out what no worker found since then: the machine it lies on is gone, or its worker is."""
    connection.execute(delete(own_remedies).where(own_remedies.c.seen_at < seen_before))


def stamp(connection: Connection) -> list[tuple[str, str]]:
    """Return something short that is another one whenever ``in_force`` is."""
    columns = own_remedies.c
    good = select(columns.name, columns.sha256).where(columns.fault.is_(None))
    ordered = good.order_by(columns.name, columns.changed_at, columns.origin)
    return [(row.name, row.sha256) for row in connection.execute(ordered)]


def in_force(connection: Connection) -> list[Row[Any]]:
    """Return the rows of the good ones; of several with one name the one that changed last."""
    return list(_by_name(connection).values())


def faults(connection: Connection) -> list[Fault]:
    """Return what is left out and why, by folder."""
    columns = own_remedies.c
    query = select(columns.folder, columns.fault).where(columns.fault.is_not(None))
    bad = [Fault(row.folder, row.fault) for row in connection.execute(query)]
    return sorted([*bad, *_outdone(connection)], key=lambda fault: (fault.folder, fault.fault))


def _outdone(connection: Connection) -> Iterable[Fault]:
    winners = _by_name(connection)
    columns = own_remedies.c
    query = select(columns.name, columns.folder, columns.machine, columns.sha256).where(columns.fault.is_(None))
    for row in connection.execute(query):
        winner = winners[row.name]
        if row.sha256 != winner.sha256:
            yield Fault(
                row.folder,
                f"on {row.machine}: {winner.folder} on {winner.machine} is another remedy of this name, and changed"
                " later: give one of them another name, or make them the same",
            )


def _by_name(connection: Connection) -> dict[str, Row[Any]]:
    columns = own_remedies.c
    query = (
        select(own_remedies).where(columns.fault.is_(None)).order_by(columns.name, columns.changed_at, columns.origin)
    )
    return {row.name: row for row in connection.execute(query)}


def _row(origin: Origin, found: Found, now: float) -> dict[str, Any]:
    return {
        "origin": origin.key,
        "name": found.name,
        "machine": origin.machine,
        "folder": found.folder,
        "document": found.document,
        "scripts": found.scripts,
        "fault": found.fault,
        "sha256": found.sha256,
        "changed_at": now,
        "seen_at": now,
    }
