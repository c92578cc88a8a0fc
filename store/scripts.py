"""Scripts: each row is a job that a worker renders, and then the script that came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Select, insert, select

from store.arrays import Integers, as_json
from store.remedies import ScriptType, Value
from store.schema import hosts, scripts
from wire.snapshot import Unreadable, decode_details

State = Literal["queued", "ready", "failed"]


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
    """Queue a job for the workers and return its id."""
    row = {
        "issue_type": issue_type,
        "script_type": script_type,
        "host_id": host_id,
        "event_id": event_id,
        "automatic": False,
        "given": dict(given),
        "state": "queued",
        "requested_at": now,
        "requested_by": requested_by,
        "rung_at": now,
    }
    script_id: int = connection.execute(insert(scripts).values(row).returning(scripts.c.id)).scalar_one()
    return script_id


def find(connection: Connection, script_id: int) -> Script | None:
    """Return one script with its content, None where there is none."""
    row = connection.execute(_select(scripts.c.content).where(scripts.c.id == script_id)).mappings().one_or_none()
    return Script(**row) if row else None


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
