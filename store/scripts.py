"""Scripts: each row is a job that a worker renders, and then the script that came of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.arrays import Integers, as_json
from store.remedies import ScriptType, Value
from store.schema import hosts, script_templates, scripts
from store.script_templates import content_of
from wire.snapshot import Unreadable, decode_details

State = Literal["queued", "running", "ready", "failed", "cancelled"]
"""A job is queued until a worker has it in hand, and queued again where that worker could not end it."""

DONE: frozenset[State] = frozenset({"ready", "failed", "cancelled"})
"""States that nothing more comes of by itself."""

UNFINISHED: ColumnElement[bool] = scripts.c.state.in_([literal_column("'queued'"), literal_column("'running'")])
"""Of a job that is to become a script. As literals: only then do both databases see that their indexes answer it."""

_MOST_TURNS = 3


@dataclass(frozen=True)
class Script:
    """A script or the job that will become one. Times are Unix seconds; what is rendered is None until it is ready."""

    id: int
    issue_type: str
    script_type: ScriptType
    host_id: int | None
    host: str | None
    event_id: int | None
    automatic: bool
    """Asked for by the drain that opened its event."""
    given: dict[str, Value]
    """The parameters that were asked for."""
    state: State
    requested_at: float
    requested_by: str | None
    """None where that was not kept yet."""
    attempts: int
    """How often a worker has begun with it since it was asked for."""
    ready_at: float | None
    error: str | None
    parameters: dict[str, Value] | None
    remedy_version: str | None
    filename: str | None
    description: str | None
    run_command: str | None
    requires_admin: bool | None
    sha256: str | None
    content: str | None = None
    """Left out of lists."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self.state in DONE


def request(
    connection: Connection,
    *,
    issue_type: str,
    script_type: ScriptType,
    host_id: int | None,
    event_id: int | None,
    given: Mapping[str, Value],
    now: float,
    requested_by: str | None = None,
) -> int:
    """Queue a job for the workers and return its id: that of the job that was asked for by the same, if it is not done.

    Of two that ask at the same moment one queues it and both get its id.
    """
    asked = [issue_type, script_type, host_id, event_id, dict(given)]
    key = hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()
    row = {
        "issue_type": issue_type,
        "script_type": script_type,
        "host_id": host_id,
        "event_id": event_id,
        "automatic": False,
        "given": dict(given),
        "request_key": key,
        "state": "queued",
        "requested_at": now,
        "requested_by": requested_by,
        "rung_at": now,
    }
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(scripts).values(row).on_conflict_do_nothing().returning(scripts.c.id)
    same = select(scripts.c.id).where(scripts.c.request_key == key, UNFINISHED)
    for _ in range(_MOST_TURNS):
        # The one that stood in the way may be done by the time it is looked for: then a new one is due.
        script_id: int | None = connection.scalar(new) or connection.scalar(same)
        if script_id is not None:
            return script_id
    raise RuntimeError("jobs for the same request end faster than one can be queued")


def cancel(connection: Connection, script_id: int) -> bool:
    """End a job that is not done; return False where there is none."""
    ended = update(scripts).where(scripts.c.id == script_id, UNFINISHED).values(state="cancelled")
    return connection.execute(ended).rowcount == 1


def retry(connection: Connection, script_id: int, now: float) -> bool:
    """Queue a job again that failed or was cancelled; return False where there is none.

    Nor is there where the same was asked for since, and is not done.
    """
    other = scripts.alias()
    same = select(other.c.id).where(
        other.c.request_key == scripts.c.request_key, other.c.state.in_(["queued", "running"])
    )
    again = (
        update(scripts)
        .where(scripts.c.id == script_id, scripts.c.state.in_(["failed", "cancelled"]), ~same.exists())
        .values(state="queued", attempts=0, error=None, rung_at=now)
    )
    return connection.execute(again).rowcount == 1


def find(connection: Connection, script_id: int) -> Script | None:
    """Return one script with its content, None where there is none."""
    query = (
        _select(scripts.c.assignments, script_templates.c.content.label("template"))
        .outerjoin(script_templates, script_templates.c.sha256 == scripts.c.template_sha256)
        .where(scripts.c.id == script_id)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    columns = dict(row)
    template, assignments = columns.pop("template"), columns.pop("assignments")
    return Script(**columns, content=None if template is None else content_of(template, assignments))


def page(
    connection: Connection,
    *,
    limit: int,
    before_id: int | None = None,
    host_id: int | None = None,
    event_id: int | None = None,
    issue_type: str | None = None,
    sha256: str | None = None,
) -> list[Script]:
    """Return scripts without their content, the last requested first, from the first one below ``before_id`` on."""
    query = _select().order_by(scripts.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(scripts.c.id < before_id)
    if host_id is not None:
        query = query.where(scripts.c.host_id == host_id)
    if event_id is not None:
        query = query.where(scripts.c.event_id == event_id)
    if issue_type is not None:
        query = query.where(scripts.c.issue_type == issue_type)
    if sha256 is not None:
        query = query.where(scripts.c.sha256 == sha256)
    return [Script(**row) for row in connection.execute(query).mappings()]


def platform(connection: Connection, host_id: int) -> str:
    """Return ``linux``, ``darwin`` or ``windows`` as the host's latest details say, empty where none are readable."""
    return platforms(connection, [host_id]).get(host_id, "")


def platforms(connection: Connection, host_ids: Sequence[int]) -> dict[int, str]:
    """Return the ``platform`` of each of these hosts that has details."""
    query = "SELECT host_id, details FROM host_details WHERE host_id"
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(f"{query} = ANY(%b)", (Integers(host_ids),))
    else:
        rows = connection.exec_driver_sql(f"{query} IN (SELECT value FROM json_each(?))", (as_json(host_ids),))  # noqa: S608 - no value
    return {host_id: _platform(stored) for host_id, stored in rows}


def _platform(stored: bytes) -> str:
    try:
        return decode_details(stored).platform
    except Unreadable:
        return ""


def _select(*more: Any) -> Select[Any]:
    columns = [scripts.c[name] for name in Script.__dataclass_fields__ if name not in ("host", "content")]
    return select(*columns, *more, hosts.c.name.label("host")).outerjoin(hosts, hosts.c.id == scripts.c.host_id)
