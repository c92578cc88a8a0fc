"""The routes that make a script and wait for it, and save it."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response
from msgspec import Struct

from api.answers import answer
from api.context import context
from api.operations import operation
from api.parsing import bad_field
from api.problems import Problem
from api.references import HostId, HostReference, RowId
from api.saving import BadFilename, FileTaken, save
from api.script_jobs import find_script, wait_for_script
from api.scripts import IssueType, ScriptBody, request_script, script_document
from store.remedies import ScriptType
from store.scripts import Script
from wire.text import visible

blueprint = Blueprint("generate_script", __name__, url_prefix="/api/agent/generate-script")


class SaveBody(Struct, forbid_unknown_fields=True):
    """Which script to save: by ``id``, or one that is made for it, as ``issue_type`` and what goes with it say.

    ``filename`` is a plain name; without one the script's own is taken.
    """

    id: RowId | None = None
    filename: str | None = None
    issue_type: IssueType | None = None
    host: HostId | HostReference | None = None
    event_id: RowId | None = None
    script_type: ScriptType | None = None
    parameters: dict[str, Any] = {}


@blueprint.post("")
@operation(body=ScriptBody, statuses=(HTTPStatus.OK, HTTPStatus.ACCEPTED))
def generate(asked: ScriptBody) -> Response:
    """Make a script and return it.

    Where that takes longer than ten seconds the answer is a 202 with the id that it will have.
    """
    script = _made(asked)
    if not script.is_done:
        response = answer({"id": script.id, "state": script.state})
        response.status_code = HTTPStatus.ACCEPTED
        return response
    return answer(script_document(script))


@blueprint.post("/save")
@operation(body=SaveBody)
def save_script(asked: SaveBody) -> Response:
    """Save a script in the folder ``scripts`` of the server's data folder, and return its path there."""
    if asked.id is not None:
        script = _script_of(asked.id)
        if asked.issue_type not in (None, script.issue_type):
            raise bad_field("issue_type", f"is not that of script {script.id}, which is {script.issue_type}")
    elif asked.issue_type is None:
        raise bad_field("id", "is needed, or issue_type in its place")
    else:
        script = _made(ScriptBody(asked.issue_type, asked.host, asked.event_id, asked.script_type, asked.parameters))
    if script.content is None or script.filename is None:
        raise Problem(HTTPStatus.CONFLICT, f"script {script.id} cannot be saved: it is {script.state}")
    name = script.filename if asked.filename is None else asked.filename
    try:
        path = save(context().scripts_folder, name, script.script_type, script.content)
    except BadFilename as fault:
        raise bad_field("filename", str(fault)) from None
    except FileTaken:
        raise Problem(
            HTTPStatus.CONFLICT, f"filename is that of something else in {context().scripts_folder}", field="filename"
        ) from None
    except OSError as error:
        raise Problem(
            HTTPStatus.CONFLICT, f"nothing can be saved in {context().scripts_folder}: {error.strerror}"
        ) from None
    return answer({"path": str(path)})


def _script_of(script_id: int) -> Script:
    try:
        return find_script(script_id)
    except Problem as problem:
        if problem.status == HTTPStatus.NOT_FOUND:
            raise bad_field("id", f"names none: no script has the id {script_id}") from None
        raise


def _made(asked: ScriptBody) -> Script:
    """Have a script made and wait for it. Raises Problem."""
    script = wait_for_script(request_script(asked), context().waiting)
    if script.state == "failed":
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"no script can be made: {visible(str(script.error))}")
    if script.state == "cancelled":
        raise Problem(HTTPStatus.CONFLICT, f"script {script.id} was cancelled before it was made")
    return script
