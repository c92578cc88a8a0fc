"""Routes of remedies: what scripts can be asked for."""

from flask import Blueprint, Response

from api.answers import answer
from api.context import context
from api.operations import operation
from store import own_remedies, remedies
from store.engine import reading

blueprint = Blueprint("remedies", __name__)


@blueprint.get("/api/v1/remedies")
@operation()
def list_remedies() -> Response:
    """List the remedies with their parameters, by issue type; beside them why some that a user added are left out."""
    known, faults = _catalogue()
    return answer({"items": known, "next": None, "faults": faults})


@blueprint.get("/api/agent/generate-script/list")
@operation()
def list_templates() -> Response:
    """List the scripts that can be generated, with their parameters."""
    known, faults = _catalogue()
    return answer({"templates": known, "faults": faults})


def _catalogue() -> tuple[list[remedies.Remedy], list[own_remedies.Fault]]:
    with reading(context().engine) as connection:
        return remedies.catalogue(connection), own_remedies.faults(connection)
