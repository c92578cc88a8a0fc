"""Script jobs as the workers see them: made with an event, taken, finished."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, CursorResult, select, update

from store.arrays import Integers, as_json, unnested
from store.remedies import ScriptType, Value
from store.schema import scripts
from store.script_templates import keep
from store.scripts import UNFINISHED, platforms


@dataclass(frozen=True)
class Job:
    """A script that is to be rendered, with what its event tells."""

    id: int
    issue_type: str
    script_type: ScriptType
    host: str | None
    event_id: int | None
    event_type: str | None
    subject: str | None
    given: dict[str, Value]
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
# Of these both databases have nearly the same: see _execute.
_RETIRE = "UPDATE scripts SET automatic = false WHERE automatic AND event_id {ids}"
_WAITING = "SELECT id, attempts FROM scripts WHERE id {ids} AND {unfinished} ORDER BY id"
_BEGIN = """
    WITH asked AS (
        SELECT s.id FROM scripts AS s WHERE s.id {ids} AND s.{unfinished} AND s.attempts = 0 {lock}
    ), others AS (
        SELECT s.id FROM scripts AS s WHERE s.{unfinished} AND s.attempts = 0 AND NOT s.id {ids}
        ORDER BY s.rung_at, s.id LIMIT {value} {lock}
    )
    UPDATE scripts SET state = 'running', attempts = 1
    WHERE id IN (SELECT id FROM asked UNION ALL SELECT id FROM others) RETURNING id"""
_TAKE = """
    SELECT s.id, s.issue_type, s.script_type, h.name, s.event_id, e.type, e.subject,
        CAST(s.given AS TEXT), CAST(e.evidence AS TEXT)
    FROM scripts AS s LEFT JOIN hosts AS h ON h.id = s.host_id LEFT JOIN events AS e ON e.id = s.event_id
    WHERE s.id {ids} AND s.{unfinished} ORDER BY s.id {lock}"""
_RING = "UPDATE scripts SET rung_at = {value} WHERE id {ids}"

_RENDERED = (
    *("parameters", "template_sha256", "assignments", "sha256"),
    *("remedy_version", "filename", "description", "run_command", "requires_admin"),
)
_FINISH_POSTGRES = (
    f"UPDATE scripts AS s SET state = 'ready', ready_at = %s, parameters = u.parameters::jsonb, "  # noqa: S608 - as above
    f"{', '.join(f'{name} = u.{name}' for name in _RENDERED[1:])} "
    f"FROM {unnested(('id', *_RENDERED), dict.fromkeys(_RENDERED, 'text[]') | {'requires_admin': 'bool[]'})} "
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
        _execute(connection, _RETIRE, event_ids)


def begin(connection: Connection, script_ids: Sequence[int], others: int) -> tuple[list[int], list[int]]:
    """Note that a worker has these jobs in hand that were never begun, and up to so many ``others`` that never were.

    Return them, and after them those that were begun before, of which nothing is noted. Left out are those that are
    done, or that another worker has in hand. The others are those that wait for the longest time; where all that was
    asked for is done there are none.
    """
    found = _execute(connection, _WAITING, script_ids).all()
    if not found:
        return [], []
    fresh = sorted(_execute(connection, _BEGIN, script_ids, script_ids, others).scalars())
    return fresh, [row.id for row in found if row.attempts]


def begin_again(connection: Connection, script_id: int) -> int:
    """Note that a worker has this job in hand; return how often it was begun now.

    It is 0 where the job is done, or another worker has it in hand.
    """
    free = select(scripts.c.id).where(scripts.c.id == script_id, UNFINISHED).with_for_update(skip_locked=True)
    begun = (
        update(scripts)
        .where(scripts.c.id == free.scalar_subquery())
        .values(state="running", attempts=scripts.c.attempts + 1)
        .returning(scripts.c.attempts)
    )
    return connection.scalar(begun) or 0


def put_back(connection: Connection, script_id: int) -> bool:
    """Queue a job again that no script came of this time; return False where it is done."""
    again = update(scripts).where(scripts.c.id == script_id, UNFINISHED).values(state="queued")
    return connection.execute(again).rowcount == 1


def take(connection: Connection, script_ids: Sequence[int]) -> list[Job]:
    """Return those of these jobs that are not done and that no other worker has in hand, locked."""
    rows = _execute(connection, _TAKE, script_ids)
    return [Job(*row[:-2], *map(_decoded, row[-2:])) for row in rows]


def _decoded(document: str | None) -> Any:
    return None if document is None else msgspec.json.decode(document)


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


def fail(connection: Connection, script_id: int, error: str) -> bool:
    """End a job that can become no script, and say why; return False where it is done."""
    failed = update(scripts).where(scripts.c.id == script_id, UNFINISHED).values(state="failed", error=error)
    return connection.execute(failed).rowcount == 1


def take_overdue(connection: Connection, rung_before: float, limit: int, now: float) -> list[int]:
    """Return jobs that are not done and of which no worker was told since then; note that they are told of now."""
    overdue = (
        select(scripts.c.id)
        .where(UNFINISHED, scripts.c.rung_at < rung_before)
        .order_by(scripts.c.rung_at, scripts.c.id)
        .limit(limit)
    )
    found = list(connection.execute(overdue).scalars())
    if found:
        _execute(connection, _RING, now, found)
    return found


def _execute(connection: Connection, statement: str, *values: float | Sequence[int]) -> CursorResult[Any]:
    """Execute a statement of above. A list of ids is one parameter, so however long it is the statement is the same."""
    if connection.dialect.name == "postgresql":
        places = {"value": "%s", "ids": "= ANY(%b)", "lock": "FOR UPDATE OF s SKIP LOCKED"}
        listed: Callable[[Sequence[int]], Integers | str] = Integers
    else:
        # Its one writer locks all.
        places = {"value": "?", "ids": "IN (SELECT value FROM json_each(?))", "lock": ""}
        listed = as_json
    return connection.exec_driver_sql(
        statement.format(unfinished=_IS_UNFINISHED, **places),
        tuple(value if isinstance(value, int | float) else listed(value) for value in values),
    )
