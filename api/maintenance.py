"""Routes of maintenance windows: what opens in one is muted."""

from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from flask import Blueprint, Response
from msgspec import Meta, Struct

from api.answers import MAX_TIME, answer, listing, rfc3339
from api.auth import who
from api.context import context
from api.operations import operation
from api.parsing import Cursor, Limit, Moment, bad_field, read_cursor, unix_seconds, write_cursor
from api.problems import Problem
from api.references import EVERY_HOST, HostId, HostReference, RowId, host_in_field, id_in_path
from store import maintenance
from store.engine import reading, writing

blueprint = Blueprint("maintenance", __name__, url_prefix="/api/v1/maintenance")

SHORTEST_SECONDS = 3600.0

_Tag = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
_Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class _Cursor(NamedTuple):
    starts_at: float
    id: RowId


class MaintenanceQuery(Struct, forbid_unknown_fields=True):
    """Which windows to list; those of a host, by id or name, are those that it is in."""

    stage: maintenance.Stage | None = None
    host: HostReference | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class MaintenanceBody(Struct, forbid_unknown_fields=True):
    """Of what (``host`` by id or name, ``*`` for the fleet; or ``tag``), from when (now), for how long, and why.

    One of ``hours``, ``until`` and ``forever`` says how long; the least is an hour. ``by`` is who announces it.
    """

    reason: Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
    host: HostId | HostReference | None = None
    tag: _Tag | None = None
    starts_at: Moment | None = None
    hours: Annotated[float, Meta(ge=1, le=24 * 366 * 100)] | None = None
    until: Moment | None = None
    forever: bool = False
    by: _Name | None = None


class EndBody(Struct, forbid_unknown_fields=True):
    """Who ends it."""

    by: _Name | None = None


@blueprint.get("")
@operation(query=MaintenanceQuery)
def list_windows(asked: MaintenanceQuery) -> Response:
    """List maintenance windows, past ones too, the last to start first.

    ``/api/v1/events?maintenance=`` lists what one mutes or has muted.
    """
    after = None if asked.cursor is None else maintenance.Place(*read_cursor(asked.cursor, _Cursor))
    now = context().now()
    with reading(context().engine) as connection:
        host = None if asked.host in (None, EVERY_HOST) else host_in_field(connection, asked.host).id
        found = maintenance.page(
            connection, limit=asked.limit + 1, now=now, after=after, stage=asked.stage, host_id=host
        )
    shown = found[: asked.limit]
    following = write_cursor(maintenance.Place(shown[-1].starts_at, shown[-1].id)) if found != shown else None
    return listing([window_document(window, now) for window in shown], following)


@blueprint.post("")
@operation(body=MaintenanceBody, statuses=(HTTPStatus.CREATED,))
def announce(asked: MaintenanceBody) -> Response:
    """Announce maintenance of a host, a tag or the fleet.

    Events that open in it are muted, and unmuted when it ends while they are open.
    """
    if (asked.host is None) == (asked.tag is None):
        raise bad_field("host", "or tag is needed, and only one of them; host * is the fleet")
    now = context().now()
    starts_at = now if asked.starts_at is None else unix_seconds(asked.starts_at, "starts_at")
    ends_at = _end(asked, starts_at, now)
    with writing(context().engine) as connection:
        host = None if asked.host in (None, EVERY_HOST) else host_in_field(connection, asked.host).id
        added = maintenance.add(
            connection,
            host_id=host,
            tag=asked.tag,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=asked.reason,
            by=asked.by or who(),
            now=now,
        )
        window = maintenance.find(connection, added)
    response = answer(None if window is None else window_document(window, now))
    response.status_code = HTTPStatus.CREATED
    return response


@blueprint.post("/<window_id>/end")
@operation(body=EndBody)
def end(asked: EndBody, window_id: str) -> Response:
    """End a maintenance window now, or call it off before it starts."""
    wanted = id_in_path(window_id)
    now = context().now()
    with writing(context().engine) as connection:
        ended = wanted is not None and maintenance.end(connection, wanted, asked.by or who(), now)
        window = None if wanted is None else maintenance.find(connection, wanted)
    if window is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no maintenance window has the id {window_id!r}")
    if not ended:
        raise Problem(HTTPStatus.CONFLICT, f"the maintenance window {window.id} has ended already")
    return answer(window_document(window, now))


def window_document(window: maintenance.Window, now: float) -> dict[str, Any]:
    """Return a maintenance window as JSON shows it."""
    return {
        "id": window.id,
        "stage": maintenance.stage_of(window, now),
        "host": window.host,
        "host_id": window.host_id,
        "tag": window.tag,
        "reason": window.reason,
        "starts_at": rfc3339(window.starts_at),
        "ends_at": rfc3339(window.ends_at),
        "created_at": rfc3339(window.created_at),
        "created_by": window.created_by,
        "ended_by": window.ended_by,
        "muted_events": window.muted_events,
    }


def _end(asked: MaintenanceBody, starts_at: float, now: float) -> float | None:
    """Return when the window that is asked for ends, None for never. Raises Problem."""
    given = [asked.hours is not None, asked.until is not None, asked.forever]
    if sum(given) != 1:
        raise bad_field("hours", "or until or forever is needed, and only one of them: it says how long")
    if asked.forever:
        return None
    if asked.until is not None:
        field, ends_at = "until", unix_seconds(asked.until, "until")
    else:
        field, ends_at = "hours", starts_at + 3600 * (asked.hours or 0.0)
    if ends_at > MAX_TIME:
        raise bad_field(field, "ends after the year 9999: ask for forever instead")
    if ends_at <= now:
        raise bad_field(field, "ends in the past: nothing could be muted")
    if ends_at - starts_at < SHORTEST_SECONDS:
        raise bad_field(field, "is too soon: maintenance takes an hour at least")
    return ends_at
