"""The text of scripts: what the scripts of a remedy share is stored once, beside each only its block of values."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from store.schema import script_templates

MARKER = "# fleetmedic: values"
"""The line of a template that the values take the place of."""


def content_of(template: str, assignments: str | None) -> str:
    """Return a script: its template with these assignments in the place of the marker, with None as it stands."""
    if assignments is None:
        return template
    before, _, after = template.partition(f"\n{MARKER}\n")
    return f"{before}\n# Values, written by Fleetmedic; all else is the remedy as it stands.\n{assignments}\n{after}"


def keep(connection: Connection, templates: Iterable[str]) -> dict[str, str]:
    """Store those of these templates that are not there yet; return the SHA-256 of each, which is its key."""
    keys = {text: hashlib.sha256(text.encode()).hexdigest() for text in set(templates)}
    # In one order: two at a time that wait for each other's new rows would else do so for ever.
    rows = sorted(({"sha256": key, "content": text} for text, key in keys.items()), key=lambda row: row["sha256"])
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(script_templates).on_conflict_do_nothing(), rows)
    return keys
