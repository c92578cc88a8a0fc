"""Routes of scripts: ask for one, list them, read one, take it away."""

import threading
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import redis
from flask import Blueprint, Response
from msgspec import Meta, Struct
from sqlalchemy import Connection

from api.answers import answer, listing, rfc3339
from api.auth import who
from api.context import context
from api.operations import operation
from api.parsing import Cursor, Limit, bad_field, read_cursor, write_cursor
from api.problems import Problem
from api.queue import QueueDown
from api.references import HostId, HostReference, RowId, default_host, host_in_field, id_in_path
from api.streams import MAX_STREAMS
from store import events, remedies, scripts
from store.engine import reading, writing
from store.remedies import BadParameter, Remedy, ScriptType, Value
from wire import keys

blueprint = Blueprint("scripts", __name__, url_prefix="/api/v1/scripts")

MAX_WAITING = MAX_STREAMS // 2
"""Half of the threads that streams leave: while no worker renders, the rest still answer at once."""
_WAIT_SECONDS = 10
_LOOK_SECONDS = 1
"""Between looks at a job that nobody announced: what a worker announced is lost when Redis is flushed."""

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
    """Which scripts to list; ``sha256`` is that of the file, in lower-case hexadecimal."""

    host: HostReference | None = None
    event_id: RowId | None = None
    issue_type: IssueType | None = None
    sha256: Sha256 | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@blueprint.post("")
@operation(body=ScriptBody, statuses=(HTTPStatus.ACCEPTED,))
def create_script(asked: ScriptBody) -> Response:
    """Ask for a script; it is made meanwhile, and then found at ``Location``."""
    script_id = request_script(asked)
    response = answer({"id": script_id, "state": "queued"})
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"{blueprint.url_prefix}/{script_id}"
    return response


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
            event_id=asked.event_id,
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


@blueprint.get("/<script_id>/download")
@operation(media_type="text/plain")
def download_script(script_id: str) -> Response:
    """Download the text of a script as a file."""
    script = _script_in_path(script_id)
    if script.content is None:
        why = f"it failed: {script.error}" if script.state == "failed" else "it is not made yet: try again"
        raise Problem(HTTPStatus.CONFLICT, f"script {script.id} has no text: {why}")
    response = Response(script.content, mimetype="text/plain")
    response.headers.set("Content-Disposition", "attachment", filename=script.filename)
    return response


def request_script(asked: ScriptBody) -> int:
    """Queue a job and tell the workers; return its id. Raises Problem: 400, or 503 where Redis does not answer."""
    with writing(context().engine) as connection:
        remedy = _remedy(connection, asked.issue_type)
        event = None if asked.event_id is None else _event(connection, remedy, asked.event_id)
        host_id = _host_id(connection, asked.host, event)
        script_id = scripts.request(
            connection,
            issue_type=remedy.issue_type,
            script_type=_script_type(connection, remedy, asked.script_type, host_id),
            host_id=host_id,
            event_id=asked.event_id,
            given=_given(remedy, asked.parameters, has_event=event is not None),
            now=context().now(),
            requested_by=who(),
        )
    try:
        context().queue.send(keys.QUEUE_SCRIPTS, keys.TASK_RENDER, [[script_id]])
    except QueueDown:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"script {script_id} is asked for, but Redis does not answer: it is made when Redis is back",
            members={"id": script_id, "state": "queued"},
        ) from None
    return script_id


def wait_for_script(script_id: int, waiting: threading.Semaphore) -> scripts.Script:
    """Return a script as soon as it is ready or failed, still queued when that takes ten seconds. Raises Problem.

    Where too many wait already, it is returned as it is.
    """
    script = find_script(script_id)
    if script.state != "queued" or not waiting.acquire(blocking=False):
        return script
    try:
        for _ in range(_WAIT_SECONDS // _LOOK_SECONDS):
            # The thread has a connection of its own from the pool: nobody waits behind it.
            context().redis.blpop([keys.script_done(script_id)], timeout=_LOOK_SECONDS)
            script = find_script(script_id)
            if script.state != "queued":
                break
    except redis.RedisError:
        script = find_script(script_id)
    finally:
        waiting.release()
    return script


def find_script(script_id: int) -> scripts.Script:
    """Return one script. Raises Problem (404)."""
    with reading(context().engine) as connection:
        script = scripts.find(connection, script_id)
    if script is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no script has the id {script_id}")
    return script


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
