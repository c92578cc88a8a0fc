"""Routes for supervisors: is the process alive, can it do its work."""

from http import HTTPStatus

import redis
from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

import migrations
from api.answers import answer
from api.context import Context, context
from api.operations import operation
from api.problems import Problem

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@operation()
def healthz() -> Response:
    """Say that the process answers."""
    return answer({"status": "alive"})


@blueprint.get("/readyz")
@operation()
def readyz() -> Response:
    """Say whether database and Redis are there; 503 with ``not_ready`` naming those that are not."""
    asked = context()
    faults = {"database": _database_fault(asked), "redis": _redis_fault(asked)}
    missing = {name: fault for name, fault in faults.items() if fault}
    if missing:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(missing.values()), members={"not_ready": list(missing)})
    return answer({"status": "ready"})


def _database_fault(asked: Context) -> str | None:
    try:
        revision = migrations.current(asked.engine)
    except SQLAlchemyError:
        return "the database does not answer"
    return None if revision == asked.revision else "the database is not upgraded: run `fleetmedic db upgrade`"


def _redis_fault(asked: Context) -> str | None:
    try:
        asked.redis.ping()
    except redis.RedisError:
        return "Redis does not answer"
    return None
