"""Routes of remedies: what scripts can be asked for."""

from flask import Blueprint, Response

from api.answers import answer, listing
from api.context import context
from api.operations import operation
from store import remedies
from store.engine import reading

blueprint = Blueprint("remedies", __name__)


@blueprint.get("/api/v1/remedies")
@operation()
def list_remedies() -> Response:
    """List the remedies with their parameters, by issue type."""
    return listing(_catalogue(), None)


@blueprint.get("/api/agent/generate-script/list")
@operation()
def list_templates() -> Response:
    """List the scripts that can be generated, with their parameters."""
    return answer({"templates": _catalogue()})


def _catalogue() -> list[remedies.Remedy]:
    with reading(context().engine) as connection:
        return remedies.catalogue(connection)
