"""The route that makes a script and waits for it."""

from http import HTTPStatus

from flask import Blueprint, Response

from api.answers import answer
from api.context import context
from api.operations import operation
from api.problems import Problem
from api.scripts import ScriptBody, request_script, script_document, wait_for_script

blueprint = Blueprint("generate_script", __name__, url_prefix="/api/agent/generate-script")


@blueprint.post("")
@operation(body=ScriptBody, statuses=(HTTPStatus.OK, HTTPStatus.ACCEPTED))
def generate(asked: ScriptBody) -> Response:
    """Make a script and return it.

    Where that takes longer than ten seconds the answer is a 202 with the id that it will have.
    """
    script = wait_for_script(request_script(asked), context().waiting)
    if script.state == "failed":
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"no script can be made: {script.error}")
    if script.state == "queued":
        response = answer({"id": script.id, "state": script.state})
        response.status_code = HTTPStatus.ACCEPTED
        return response
    return answer(script_document(script))
