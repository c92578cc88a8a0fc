"""Events that nobody has explained yet, what is stored of their hosts, and the explanations."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from store.arrays import Integers, unnested
from store.schema import events, host_details

_HOSTS_AT_ONCE = 500
# A row that a drain holds is left for the next time: then neither ever waits for the other with rows in its hands.
_ROWS = unnested(("id", "explanation", "added"), {"explanation": "text[]", "added": "text[]"})
_EXPLAIN_POSTGRES = f"""
    WITH held AS (SELECT id FROM events WHERE id = ANY(%b) AND explanation IS NULL FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE events AS e SET explanation = u.explanation, evidence = e.evidence || u.added::jsonb
    FROM {_ROWS} JOIN held ON held.id = u.id
    WHERE e.id = u.id"""  # noqa: S608 - no value
_EXPLAIN_SQLITE = """
    UPDATE events SET explanation = ?, evidence = json_patch(evidence, ?) WHERE id = ? AND explanation IS NULL"""


class Unexplained(NamedTuple):
    """An event without an explanation. Times are Unix seconds."""

    id: int
    host_id: int
    type: str
    subject: str
    limit_value: float | None
    value: float | None
    peak_value: float | None
    started_at: float
    opened_at: float
    reopened_at: float | None
    evidence: Any


class Views(NamedTuple):
    """A host's latest details and its earlier copy, encoded as they came, and when they were taken."""

    taken_at: float
    details: bytes
    earlier_taken_at: float | None
    earlier_details: bytes | None


class Explained(NamedTuple):
    """What is to be written of one event."""

    id: int
    explanation: str
    changes: Sequence[Mapping[str, Any]]
    """What changed on its host: goes into its evidence."""


def unexplained(connection: Connection, limit: int) -> list[Unexplained]:
    """Return events that have no explanation yet, the last opened first."""
    query = (
        select(*(events.c[name] for name in Unexplained._fields))
        .where(events.c.explanation.is_(None))
        .order_by(events.c.opened_at.desc())
        .limit(limit)
    )
    return [Unexplained(*row) for row in connection.execute(query).all()]


def views(connection: Connection, host_ids: Sequence[int]) -> dict[int, Views]:
    """Return what is stored of the details of these hosts, by host id."""
    columns = [host_details.c[name] for name in Views._fields]
    found: dict[int, Views] = {}
    for first in range(0, len(host_ids), _HOSTS_AT_ONCE):
        some = host_ids[first : first + _HOSTS_AT_ONCE]
        query = select(host_details.c.host_id, *columns).where(host_details.c.host_id.in_(some))
        found |= {host_id: Views(*row) for host_id, *row in connection.execute(query).all()}
    return found


def write(connection: Connection, explained: Sequence[Explained]) -> None:
    """Write explanations; what has one by now keeps it."""
    if not explained:
        return
    added = [json.dumps({"changes": list(one.changes)} if one.changes else {}) for one in explained]
    if connection.dialect.name == "postgresql":
        ids = Integers([one.id for one in explained])
        texts = [one.explanation for one in explained]
        connection.exec_driver_sql(_EXPLAIN_POSTGRES, (ids, ids, texts, added))
    else:
        rows = [(one.explanation, extra, one.id) for one, extra in zip(explained, added, strict=True)]
        connection.exec_driver_sql(_EXPLAIN_SQLITE, rows)
