"""Script jobs as the workers see them: made with an event, taken, finished."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, exists, insert, select, update

from store.remedies import ScriptType, Value
from store.schema import events, hosts, scripts
from store.scripts import platform


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
    attempts: int


def request_for_open_events(
    connection: Connection, host_ids: Collection[int], remedy_of: Mapping[str, str], now: float
) -> list[int]:
    """Queue a job for each open event of these hosts that has a remedy and no script yet; return the jobs' ids.

    ``remedy_of`` names the remedy of a type of event.
    """
    known = exists().where(scripts.c.event_id == events.c.id, scripts.c.automatic)
    wanted = select(events.c.id, events.c.host_id, events.c.type).where(
        events.c.host_id.in_(host_ids), events.c.state == "open", events.c.type.in_(remedy_of), ~known
    )
    found = connection.execute(wanted.order_by(events.c.id)).all()
    if not found:
        return []
    kinds = {host: script_type_of(platform(connection, host)) for host in {row.host_id for row in found}}
    rows = [
        {
            "issue_type": remedy_of[row.type],
            "script_type": kinds[row.host_id],
            "host_id": row.host_id,
            "event_id": row.id,
            "automatic": True,
            "given": {},
            "state": "queued",
            "requested_at": now,
            "rung_at": now,
        }
        for row in found
    ]
    return list(connection.execute(insert(scripts).returning(scripts.c.id), rows).scalars())


def script_type_of(platform_name: str) -> ScriptType:
    """Return the kind of script that a platform runs by itself."""
    return "powershell" if platform_name == "windows" else "bash"


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
            scripts.c.attempts,
        )
        .outerjoin(hosts, hosts.c.id == scripts.c.host_id)
        .outerjoin(events, events.c.id == scripts.c.event_id)
        .where(and_(scripts.c.id.in_(script_ids), scripts.c.state == "queued"))
        .order_by(scripts.c.id)
        .with_for_update(of=scripts, skip_locked=True)
    )
    return [Job(**row) for row in connection.execute(query).mappings()]


def finish(connection: Connection, script_id: int, rendered: Mapping[str, Any], now: float) -> None:
    """Make a job a script; ``rendered`` are its columns by name."""
    done = {**rendered, "state": "ready", "ready_at": now}
    connection.execute(update(scripts).where(scripts.c.id == script_id).values(done))


def fail(connection: Connection, script_id: int, error: str) -> None:
    """End a job that can become no script, and say why."""
    connection.execute(update(scripts).where(scripts.c.id == script_id).values(state="failed", error=error))


def count_attempt(connection: Connection, script_id: int) -> None:
    """Count an attempt that failed for no reason of the job's own."""
    connection.execute(update(scripts).where(scripts.c.id == script_id).values(attempts=scripts.c.attempts + 1))


def take_overdue(connection: Connection, rung_before: float, limit: int, now: float) -> list[int]:
    """Return queued jobs that no worker was told of since then, and note that they are told of now."""
    overdue = (
        select(scripts.c.id)
        .where(scripts.c.state == "queued", scripts.c.rung_at < rung_before)
        .order_by(scripts.c.rung_at)
        .limit(limit)
    )
    found = list(connection.execute(overdue).scalars())
    if found:
        connection.execute(update(scripts).where(scripts.c.id.in_(found)).values(rung_at=now))
    return found
