"""The routes that say what holds a host back, and what would help."""

from flask import Blueprint, Response
from msgspec import Struct, to_builtins

from api.answers import answer, rfc3339
from api.case_history import seen_of
from api.context import context
from api.diagnosis.verdict import judge
from api.operations import operation
from api.parsing import bad_field
from api.references import HostId, HostReference, default_host, host_in_field
from store import remedies
from store.engine import reading

blueprint = Blueprint("optimize", __name__, url_prefix="/api/agent/optimize")


class OptimizeQuery(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name."""

    host: HostReference | None = None


class OptimizeBody(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name."""

    host: HostId | HostReference | None = None


@blueprint.get("")
@operation(query=OptimizeQuery)
def show(asked: OptimizeQuery) -> Response:
    """Say what holds a host back, by the last quarter of an hour, and what would help."""
    return _diagnosis(asked.host)


@blueprint.post("")
@operation(body=OptimizeBody)
def make(asked: OptimizeBody) -> Response:
    """Say what holds a host back, by the last quarter of an hour, and what would help."""
    return _diagnosis(asked.host)


def _diagnosis(reference: str | int | None) -> Response:
    now = context().now()
    with reading(context().engine) as connection:
        host = (
            default_host(connection, context().own_host) if reference is None else host_in_field(connection, reference)
        )
        if host is None:
            raise bad_field(
                "host", "is needed: this machine is no host, and there is not just one; give an id or a name"
            )
        remedy_of = {event: one.issue_type for one in remedies.catalogue(connection) for event in one.events}
        seen = seen_of(connection, host, remedy_of, now)
    peers = None if seen.peers is None else {"tag": seen.peers.tag, "hosts": seen.peers.hosts}
    return answer({"host": host.name, "as_of": rfc3339(seen.now), "peers": peers, **to_builtins(judge(seen))})
