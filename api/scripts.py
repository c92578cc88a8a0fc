"""Routes of scripts: ask for one, list them, read one, cancel it or have it tried again, take it away."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response
from msgspec import Meta, Struct
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from api.announcements import announce_script
from api.answers import answer, listing, rfc3339
from api.auth import who
from api.context import context
from api.operations import operation
from api.parsing import Cursor, Limit, NoParameters, bad_field, read_cursor, write_cursor
from api.problems import Problem
from api.references import HostId, HostReference, RowId, default_host, host_in_field, id_in_path
from api.script_jobs import find_script, forget_end, tell_workers, wake
from store import events, remedies, scripts
from store.engine import reading, writing
from store.remedies import BadParameter, Remedy, ScriptType, Value

blueprint = Blueprint("scripts", __name__, url_prefix="/api/v1/scripts")

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
IssueType = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class ScriptBody(Struct, forbid_unknown_fields=True):
    """Which script is asked for: a remedy, or a type of event that one answers, and what it is to be made for.

    ``host`` is an id or a name. ``script_type`` is what the host runs by itself unless given. An event fills in the
    parameters that are not given.
    """

    issue_type: IssueType
    host: HostId | HostReference | None = None
    event_id: RowId | None = None
    script_type: ScriptType | None = None
    parameters: dict[str, Any] = {}


class ScriptsQuery(Struct, forbid_unknown_fields=True):
    """Which scripts to list: the history of a host, of an event, of a remedy, or of one file.

    ``sha256`` is that of the file, in lower-case hexadecimal.
    """

    host: HostReference | None = None
    event: RowId | None = None
    issue_type: IssueType | None = None
    sha256: Sha256 | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@blueprint.post("")
@operation(body=ScriptBody, statuses=(HTTPStatus.ACCEPTED,))
def create_script(asked: ScriptBody) -> Response:
    """Ask for a script; it is made meanwhile, and then found at ``Location``.

    Who asks for the same again before it is made gets the same script.
    """
    return _accepted(request_script(asked))


@blueprint.get("")
@operation(query=ScriptsQuery)
def list_scripts(asked: ScriptsQuery) -> Response:
    """List scripts without their text, the last one asked for first."""
    with reading(context().engine) as connection:
        found = scripts.page(
            connection,
            limit=asked.limit + 1,
            before_id=None if asked.cursor is None else read_cursor(asked.cursor, RowId),
            host_id=None if asked.host is None else host_in_field(connection, asked.host).id,
            event_id=asked.event,
            issue_type=asked.issue_type,
            sha256=asked.sha256,
        )
    shown = found[: asked.limit]
    return listing([_metadata(script) for script in shown], write_cursor(shown[-1].id) if found != shown else None)


@blueprint.get("/<script_id>")
@operation()
def show_script(script_id: str) -> Response:
    """Show one script, or how far it is."""
    return answer(script_document(_script_in_path(script_id)))


@blueprint.post("/<script_id>/cancel")
@operation(body=NoParameters)
def cancel_script(_: NoParameters, script_id: str) -> Response:
    """Cancel a script that is not made yet. A 409 says that it is too late."""
    script = _script_in_path(script_id)
    with writing(context().engine) as connection:
        is_cancelled = scripts.cancel(connection, script.id)
    script = find_script(script.id)
    if is_cancelled:
        wake(script.id)
        announce_script(script.id, "cancelled")
    elif script.state != "cancelled":
        raise Problem(HTTPStatus.CONFLICT, f"script {script.id} cannot be cancelled: it is {script.state}")
    return answer(script_document(script))


@blueprint.post("/<script_id>/retry")
@operation(body=NoParameters, statuses=(HTTPStatus.ACCEPTED,))
def retry_script(_: NoParameters, script_id: str) -> Response:
    """Have a script that failed or was cancelled made after all, as it was asked for.

    Who asks for that twice gets the same answer. A 409 says that it is made already.
    """
    script = _script_in_path(script_id)
    try:
        with writing(context().engine) as connection:
            is_queued = scripts.retry(connection, script.id, context().now())
    except IntegrityError:
        # The same was asked for in this very moment.
        is_queued = False
    if not is_queued:
        script = find_script(script.id)
        if script.is_done:
            why = "it is ready" if script.state == "ready" else "the same is asked for already, and not made yet"
            raise Problem(HTTPStatus.CONFLICT, f"script {script.id} cannot be made again: {why}")
    forget_end(script.id)
    tell_workers(script.id)
    return _accepted(script.id)


@blueprint.get("/<script_id>/download")
@operation(media_type="text/plain")
def download_script(script_id: str) -> Response:
    """Download the text of a script as a file."""
    script = _script_in_path(script_id)
    if script.content is None:
        why = {
            "failed": f"it failed: {script.error}",
            "cancelled": "it was cancelled",
        }.get(script.state, "it is not made yet: try again")
        raise Problem(HTTPStatus.CONFLICT, f"script {script.id} has no text: {why}")
    response = Response(script.content, mimetype="text/plain")
    response.headers.set("Content-Disposition", "attachment", filename=script.filename)
    return response


def request_script(asked: ScriptBody) -> int:
    """Queue a job and tell the workers; return its id. Raises Problem: 400, or 503 where Redis does not answer."""
    # On SQLite nobody else writes while one does: what can be found out before is.
    with reading(context().engine) as connection:
        remedy = _remedy(connection, asked.issue_type)
        event = None if asked.event_id is None else _event(connection, remedy, asked.event_id)
        host_id = _host_id(connection, asked.host, event)
        script_type = _script_type(connection, remedy, asked.script_type, host_id)
    given = _given(remedy, asked.parameters, has_event=event is not None)
    with writing(context().engine) as connection:
        script_id = scripts.request(
            connection,
            issue_type=remedy.issue_type,
            script_type=script_type,
            host_id=host_id,
            event_id=asked.event_id,
            given=given,
            now=context().now(),
            requested_by=who(),
        )
    tell_workers(script_id)
    return script_id


def _accepted(script_id: int) -> Response:
    response = answer({"id": script_id, "state": "queued"})
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"{blueprint.url_prefix}/{script_id}"
    return response


def script_document(script: scripts.Script) -> dict[str, Any]:
    """Return a script as JSON shows it; ``script`` is its text, null until it is ready."""
    return _metadata(script) | {"script": script.content}


def _metadata(script: scripts.Script) -> dict[str, Any]:
    return {
        "id": script.id,
        "issue_type": script.issue_type,
        "script_type": script.script_type,
        "host": script.host,
        "host_id": script.host_id,
        "event_id": script.event_id,
        "automatic": script.automatic,
        "state": script.state,
        "attempts": script.attempts,
        "requested_at": rfc3339(script.requested_at),
        "requested_by": script.requested_by,
        "ready_at": rfc3339(script.ready_at),
        "error": script.error,
        "given": script.given,
        "parameters": script.parameters,
        "remedy_version": script.remedy_version,
        "filename": script.filename,
        "description": script.description,
        "run_command": script.run_command,
        "requires_admin": script.requires_admin,
        "sha256": script.sha256,
    }


def _script_in_path(text: str) -> scripts.Script:
    script_id = id_in_path(text)
    if script_id is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no script has the id {text!r}")
    return find_script(script_id)


def _remedy(connection: Connection, issue_type: str) -> Remedy:
    remedy = remedies.find(connection, issue_type)
    if remedy is None:
        known = ", ".join(one.issue_type for one in remedies.catalogue(connection))
        there_are = f"there are {known}" if known else "a worker publishes them when it starts, and none has yet"
        raise bad_field("issue_type", f"names no remedy, and no type of event that one answers: {there_are}")
    return remedy


def _event(connection: Connection, remedy: Remedy, event_id: int) -> events.Event:
    event = events.find(connection, event_id)
    if event is None:
        raise bad_field("event_id", f"names none: no event has the id {event_id}")
    if event.type not in remedy.events:
        raise bad_field(
            "event_id", f"names an event of type {event.type}: {remedy.issue_type} answers {', '.join(remedy.events)}"
        )
    return event


def _host_id(connection: Connection, reference: int | str | None, event: events.Event | None) -> int | None:
    """Return whom a script is for: the host that is named, that of the event, or the one that is meant by neither."""
    if reference is None:
        meant = None if event else default_host(connection, context().own_host)
        return event.host_id if event else meant.id if meant else None
    host = host_in_field(connection, reference)
    if event is not None and event.host_id != host.id:
        raise bad_field("host", f"is not that of the event: event {event.id} is one of {event.host}")
    return host.id


def _script_type(connection: Connection, remedy: Remedy, asked: ScriptType | None, host_id: int | None) -> ScriptType:
    is_windows = asked is None and host_id is not None and scripts.platform(connection, host_id) == "windows"
    script_type: ScriptType = asked or ("powershell" if is_windows else "bash")
    if script_type not in remedy.script_types:
        raise bad_field(
            "script_type", f"cannot be {script_type}: {remedy.issue_type} has {', '.join(remedy.script_types)}"
        )
    return script_type


def _given(remedy: Remedy, parameters: dict[str, Any], *, has_event: bool) -> dict[str, Value]:
    """Return the parameters that were given, checked. What an event is to fill in may be missing."""
    if has_event:
        optional = tuple(msgspec.structs.replace(one, required=False) for one in remedy.parameters)
        remedy = msgspec.structs.replace(remedy, parameters=optional)
    try:
        complete = remedies.complete(remedy, parameters)
    except BadParameter as error:
        raise bad_field(f"parameters.{error.name}", error.fault) from None
    return {name: complete[name] for name, value in parameters.items() if value is not None}
