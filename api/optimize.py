"""The routes that say what holds a host or the fleet back, and what would help."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from msgspec import Struct, to_builtins
from sqlalchemy import Connection

from api.answers import answer, rfc3339
from api.case_history import seen_of
from api.context import context
from api.diagnosis import fleet, verdict
from api.fleet_history import fleet_of
from api.operations import operation
from api.parsing import bad_field
from api.references import EVERY_HOST, HostId, HostReference, default_host, host_in_field
from store import remedies
from store.engine import reading
from store.hosts import HostName

blueprint = Blueprint("optimize", __name__, url_prefix="/api/agent/optimize")

FLEET_KEPT_SECONDS = 5.0
"""For so long a diagnosis of all hosts is answered again: of ten thousand it takes tenths of a second."""


class OptimizeQuery(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name; ``*`` or ``fleet`` for all of them."""

    host: HostReference | None = None
    fleet: bool = False


class OptimizeBody(Struct, forbid_unknown_fields=True):
    """Which host is meant, by id or name; ``*`` or ``fleet`` for all of them."""

    host: HostId | HostReference | None = None
    fleet: bool = False


@blueprint.get("")
@operation(query=OptimizeQuery)
def show(asked: OptimizeQuery) -> Response:
    """Say what holds a host or the fleet back, and what would help.

    By the last quarter of an hour, the host's own past and its peers. Suggestions are ranked by what they are expected
    to change and what they risk; each names the remedy that does it, or says why there is none.
    """
    return _diagnosis(asked.host, asked.fleet)


@blueprint.post("")
@operation(body=OptimizeBody)
def make(asked: OptimizeBody) -> Response:
    """Say what holds a host or the fleet back, and what would help: the same as by GET."""
    return _diagnosis(asked.host, asked.fleet)


def _diagnosis(reference: str | int | None, is_of_fleet: bool) -> Response:
    if is_of_fleet and reference not in (None, EVERY_HOST):
        raise bad_field("fleet", "is for all hosts: give either it or a host")
    now = context().now()
    with reading(context().engine) as connection:
        answering = remedies.by_event(remedies.catalogue(connection))
        remedy_of = {event: remedy.issue_type for event, remedy in answering.items()}
        is_of_fleet = is_of_fleet or reference == EVERY_HOST
        seen = None if is_of_fleet else seen_of(connection, _host(connection, reference), remedy_of, now)
    if seen is None:
        key = tuple(sorted(remedy_of.items()))
        return answer(context().fleet_diagnosis.get(key, now, lambda: _fleet_diagnosis(remedy_of, now)))
    peers = None if seen.peers is None else {"tag": seen.peers.tag, "hosts": seen.peers.hosts}
    return answer({"host": seen.host, "as_of": rfc3339(seen.now), "peers": peers, **to_builtins(verdict.judge(seen))})


def _fleet_diagnosis(remedy_of: Mapping[str, str], now: float) -> dict[str, Any]:
    with reading(context().engine) as connection:
        all_hosts = fleet_of(connection, remedy_of, now)
    return {"host": EVERY_HOST, "as_of": rfc3339(now), "peers": None, **to_builtins(fleet.judge(all_hosts))}


def _host(connection: Connection, reference: str | int | None) -> HostName:
    if reference is not None:
        return host_in_field(connection, reference)
    host = default_host(connection, context().own_host)
    if host is None:
        raise bad_field("host", "is needed: this machine is no host, and there is not just one; give an id or a name")
    return host
