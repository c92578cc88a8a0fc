"""Script jobs as the workers see them: made with an event, taken, finished."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, select, update

from store.arrays import Integers, as_json
from store.remedies import ScriptType, Value
from store.schema import events, hosts, scripts
from store.script_templates import keep
from store.scripts import UNFINISHED, platforms


@dataclass(frozen=True)
class Job:
    """A script that is to be rendered, with what its event tells."""

    id: int
    issue_type: str
    script_type: ScriptType
    given: dict[str, Value]
    host: str | None
    event_id: int | None
    event_type: str | None
    subject: str | None
    evidence: dict[str, Any] | None


_REQUEST_POSTGRES = """
    INSERT INTO scripts (issue_type, script_type, host_id, event_id, automatic, given, state, requested_at, rung_at,
        requested_by)
    SELECT %s::jsonb ->> e.type, CASE WHEN e.host_id = ANY(%b) THEN 'powershell' ELSE 'bash' END, e.host_id, e.id,
        true, '{}', 'queued', %s, %s, 'the worker'
    FROM events AS e
    WHERE e.host_id = ANY(%b) AND e.state = 'open' AND %s::jsonb ->> e.type IS NOT NULL
        AND NOT EXISTS (SELECT FROM scripts AS s WHERE s.event_id = e.id AND s.automatic)
    ORDER BY e.id RETURNING id"""
_REQUEST_SQLITE = """
    INSERT INTO scripts (issue_type, script_type, host_id, event_id, automatic, given, state, requested_at, rung_at,
        requested_by)
    SELECT ?1 ->> e.type, iif(e.host_id IN (SELECT value FROM json_each(?2)), 'powershell', 'bash'), e.host_id, e.id,
        true, '{}', 'queued', ?3, ?3, 'the worker'
    FROM json_each(?4) AS asked JOIN events AS e ON e.host_id = asked.value
    WHERE e.state = 'open' AND ?1 ->> e.type IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM scripts AS s WHERE s.event_id = e.id AND s.automatic)
    ORDER BY e.id RETURNING id"""


_IS_UNFINISHED = "state IN ('queued', 'running')"
_RENDERED = (
    *("parameters", "template_sha256", "assignments", "sha256"),
    *("remedy_version", "filename", "description", "run_command", "requires_admin"),
)
_FINISH_POSTGRES = (
    f"UPDATE scripts AS s SET state = 'ready', ready_at = %s, parameters = u.parameters::jsonb, "  # noqa: S608 - as above
    f"{', '.join(f'{name} = u.{name}' for name in _RENDERED[1:])} "
    f"FROM unnest(%b, {'%b::text[], ' * (len(_RENDERED) - 1)}%b::bool[]) AS u (id, {', '.join(_RENDERED)}) "
    f"WHERE s.id = u.id AND s.{_IS_UNFINISHED}"
)
_FINISH_SQLITE = (
    f"UPDATE scripts SET state = 'ready', ready_at = ?, {', '.join(f'{name} = ?' for name in _RENDERED)} "  # noqa: S608 - as above
    f"WHERE id = ? AND {_IS_UNFINISHED}"
)


def request_for_open_events(
    connection: Connection, host_ids: Collection[int], remedy_of: Mapping[str, str], now: float
) -> list[int]:
    """Queue a job for each open event of these hosts that has a remedy and no script yet; return the jobs' ids.

    ``remedy_of`` names the remedy of a type of event. The script is of the kind that the host's platform runs.
    """
    ordered = sorted(host_ids)
    windows = [host for host, platform in platforms(connection, ordered).items() if platform == "windows"]
    remedies = msgspec.json.encode(remedy_of).decode()
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            _REQUEST_POSTGRES, (remedies, Integers(windows), now, now, Integers(ordered), remedies)
        )
    else:
        rows = connection.exec_driver_sql(_REQUEST_SQLITE, (remedies, as_json(windows), now, as_json(ordered)))
    return [row[0] for row in rows]


def retire(connection: Connection, event_ids: Sequence[int]) -> None:
    """Make the scripts that these events have by themselves ones of the past, so that they get new ones."""
    if event_ids:
        own = and_(scripts.c.event_id.in_(event_ids), scripts.c.automatic)
        connection.execute(update(scripts).where(own).values(automatic=False))


def begin(connection: Connection, script_ids: Sequence[int], *, tried_too: bool) -> dict[int, int]:
    """Note that a worker has these jobs in hand; return how often each was begun now, by its id.

    Left out are those that are done, that another worker has in hand, and, unless ``tried_too``,
    that were begun before.
    """
    free = select(scripts.c.id).where(scripts.c.id.in_(script_ids), UNFINISHED)
    if not tried_too:
        free = free.where(scripts.c.attempts == 0)
    begun = (
        update(scripts)
        .where(scripts.c.id.in_(free.with_for_update(skip_locked=True)))
        .values(state="running", attempts=scripts.c.attempts + 1)
        .returning(scripts.c.id, scripts.c.attempts)
    )
    return {row.id: row.attempts for row in connection.execute(begun)}


def waiting(connection: Connection, script_ids: Sequence[int], others: int) -> dict[int, int]:
    """Return how often each of these jobs that is not done was begun, by its id; and so many others that never were.

    The others are those that wait for the longest time.
    """
    asked = select(scripts.c.id, scripts.c.attempts).where(scripts.c.id.in_(script_ids), UNFINISHED)
    found = {row.id: row.attempts for row in connection.execute(asked.order_by(scripts.c.id))}
    if found and others:
        fresh = select(scripts.c.id).where(UNFINISHED, scripts.c.attempts == 0, scripts.c.id.not_in(script_ids))
        longest = fresh.order_by(scripts.c.rung_at).limit(others)
        found |= dict.fromkeys(connection.execute(longest).scalars(), 0)
    return found


def put_back(connection: Connection, script_id: int) -> None:
    """Queue a job again that no script came of this time."""
    connection.execute(update(scripts).where(scripts.c.id == script_id, UNFINISHED).values(state="queued"))


def take(connection: Connection, script_ids: Sequence[int]) -> list[Job]:
    """Return those of these jobs that are not done and that no other worker has in hand, locked."""
    query = (
        select(
            scripts.c.id,
            scripts.c.issue_type,
            scripts.c.script_type,
            scripts.c.given,
            hosts.c.name.label("host"),
            scripts.c.event_id,
            events.c.type.label("event_type"),
            events.c.subject,
            events.c.evidence,
        )
        .outerjoin(hosts, hosts.c.id == scripts.c.host_id)
        .outerjoin(events, events.c.id == scripts.c.event_id)
        .where(and_(scripts.c.id.in_(script_ids), UNFINISHED))
        .order_by(scripts.c.id)
        .with_for_update(of=scripts, skip_locked=True)
    )
    return [Job(**row) for row in connection.execute(query).mappings()]


def finish(connection: Connection, rendered: Mapping[int, Mapping[str, Any]], now: float) -> None:
    """Make jobs scripts, but for those that are done already.

    ``rendered`` are the columns of each, by name, by the job's id; in the place of ``template_sha256`` it has the
    ``template`` itself, which is stored once.
    """
    if not rendered:
        return
    keys = keep(connection, (row["template"] for row in rendered.values()))
    rows = [
        {**row, "parameters": msgspec.json.encode(row["parameters"]).decode(), "template_sha256": keys[row["template"]]}
        for row in rendered.values()
    ]
    columns = [[row[name] for row in rows] for name in _RENDERED]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_FINISH_POSTGRES, (now, Integers(list(rendered)), *columns))
    else:
        times = [now] * len(rows)
        connection.exec_driver_sql(_FINISH_SQLITE, list(zip(times, *columns, rendered, strict=True)))


def fail(connection: Connection, script_id: int, error: str) -> None:
    """End a job that can become no script, and say why."""
    failed = update(scripts).where(scripts.c.id == script_id, UNFINISHED).values(state="failed", error=error)
    connection.execute(failed)


def take_overdue(connection: Connection, rung_before: float, limit: int, now: float) -> list[int]:
    """Return jobs that are not done and of which no worker was told since then; note that they are told of now."""
    overdue = (
        select(scripts.c.id).where(UNFINISHED, scripts.c.rung_at < rung_before).order_by(scripts.c.rung_at).limit(limit)
    )
    found = list(connection.execute(overdue).scalars())
    if found:
        connection.execute(update(scripts).where(scripts.c.id.in_(found)).values(rung_at=now))
    return found
