"""Script jobs as the workers see them: made with an event, taken, finished."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    insert,
    literal,
    literal_column,
    select,
    true,
    update,
)

from store.remedies import ScriptType, Value
from store.schema import events, hosts, scripts
from store.scripts import platforms

# As literals: only then do both databases see that their partial indexes answer it.
_OPEN: ColumnElement[str] = literal_column("'open'")
_QUEUED: ColumnElement[str] = literal_column("'queued'")
_HOSTS_AT_ONCE = 1000


@dataclass(frozen=True)
class Job:
    """A script that is to be rendered, with what its event tells."""

    id: int
    issue_type: str
    script_type: ScriptType
    given: dict[str, Value]
    host: str | None
    event_id: int | None
    subject: str | None
    evidence: dict[str, Any] | None


def request_for_open_events(
    connection: Connection, host_ids: Collection[int], remedy_of: Mapping[str, str], now: float
) -> list[int]:
    """Queue a job for each open event of these hosts that has a remedy and no script yet; return the jobs' ids.

    ``remedy_of`` names the remedy of a type of event. The script is of the kind that the host's platform runs.
    """
    if not remedy_of:
        return []
    requested: list[int] = []
    ordered = sorted(host_ids)
    for first in range(0, len(ordered), _HOSTS_AT_ONCE):
        requested += _request(connection, ordered[first : first + _HOSTS_AT_ONCE], remedy_of, now)
    return requested


def _request(connection: Connection, host_ids: Sequence[int], remedy_of: Mapping[str, str], now: float) -> list[int]:
    windows = [host for host, platform in platforms(connection, host_ids).items() if platform == "windows"]
    script_type = case((events.c.host_id.in_(windows), "powershell"), else_="bash") if windows else literal("bash")
    columns = {
        "issue_type": case(dict(remedy_of), value=events.c.type),
        "script_type": script_type,
        "host_id": events.c.host_id,
        "event_id": events.c.id,
        "automatic": true(),
        "given": literal({}, scripts.c.given.type),
        "state": literal("queued"),
        "requested_at": literal(now),
        "rung_at": literal(now),
    }
    known = exists().where(scripts.c.event_id == events.c.id, scripts.c.automatic)
    wanted = (
        select(*columns.values())
        .where(events.c.host_id.in_(host_ids), events.c.state == _OPEN, events.c.type.in_(remedy_of), ~known)
        .order_by(events.c.id)
    )
    new = insert(scripts).from_select(list(columns), wanted).returning(scripts.c.id)
    return list(connection.execute(new).scalars())


def take(connection: Connection, script_ids: Sequence[int]) -> list[Job]:
    """Return those of these jobs that are still queued and that no other worker has in hand, locked."""
    query = (
        select(
            scripts.c.id,
            scripts.c.issue_type,
            scripts.c.script_type,
            scripts.c.given,
            hosts.c.name.label("host"),
            scripts.c.event_id,
            events.c.subject,
            events.c.evidence,
        )
        .outerjoin(hosts, hosts.c.id == scripts.c.host_id)
        .outerjoin(events, events.c.id == scripts.c.event_id)
        .where(and_(scripts.c.id.in_(script_ids), scripts.c.state == _QUEUED))
        .order_by(scripts.c.id)
        .with_for_update(of=scripts, skip_locked=True)
    )
    return [Job(**row) for row in connection.execute(query).mappings()]


def finish(connection: Connection, rendered: Mapping[int, Mapping[str, Any]], now: float) -> None:
    """Make jobs scripts; ``rendered`` are the columns of each, by name, by the job's id."""
    if rendered:
        (columns, *_) = rendered.values()
        done = {name: bindparam(f"new_{name}") for name in columns} | {"state": "ready", "ready_at": now}
        connection.execute(
            update(scripts).where(scripts.c.id == bindparam("job_id")).values(done),
            [{"job_id": job} | {f"new_{name}": row[name] for name in columns} for job, row in rendered.items()],
        )


def fail(connection: Connection, script_id: int, error: str) -> None:
    """End a job that can become no script, and say why."""
    connection.execute(update(scripts).where(scripts.c.id == script_id).values(state="failed", error=error))


def count_attempt(connection: Connection, script_id: int) -> int:
    """Count an attempt that failed for no reason of the job's own; return how many there were, 0 if it is done."""
    queued = update(scripts).where(scripts.c.id == script_id, scripts.c.state == _QUEUED)
    counted = queued.values(attempts=scripts.c.attempts + 1).returning(scripts.c.attempts)
    return connection.execute(counted).scalar_one_or_none() or 0


def take_overdue(connection: Connection, rung_before: float, limit: int, now: float) -> list[int]:
    """Return queued jobs that no worker was told of since then, and note that they are told of now."""
    overdue = (
        select(scripts.c.id)
        .where(scripts.c.state == _QUEUED, scripts.c.rung_at < rung_before)
        .order_by(scripts.c.rung_at)
        .limit(limit)
    )
    found = list(connection.execute(overdue).scalars())
    if found:
        connection.execute(update(scripts).where(scripts.c.id.in_(found)).values(rung_at=now))
    return found
