"""What people write on events."""

from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from store.schema import event_notes


class Note(NamedTuple):
    """One note; times are Unix seconds."""

    id: int
    written_at: float
    written_by: str
    """Who, as far as the API knew."""
    note: str


def add(connection: Connection, event_id: int, note: str, who: str, now: float) -> Note:
    """Write a note on an event that there is."""
    row = {"event_id": event_id, "written_at": now, "written_by": who, "note": note}
    written = insert(event_notes).values(row).returning(event_notes.c.id)
    return Note(connection.execute(written).scalar_one(), now, who, note)


def page(connection: Connection, event_id: int, limit: int, after: int | None = None) -> list[Note]:
    """Return notes of an event, the first written first, from the first one behind the id ``after`` on."""
    columns = (event_notes.c.id, event_notes.c.written_at, event_notes.c.written_by, event_notes.c.note)
    query = select(*columns).where(event_notes.c.event_id == event_id).order_by(event_notes.c.id).limit(limit)
    if after is not None:
        query = query.where(event_notes.c.id > after)
    return [Note(*row) for row in connection.execute(query)]
