"""Routes of the fleet as a whole."""

from collections import Counter
from typing import get_args

from flask import Blueprint, Response

from api.answers import answer
from api.context import context
from api.operations import operation
from store import events, hosts
from store.engine import reading

blueprint = Blueprint("fleet", __name__, url_prefix="/api/v1/fleet")


@blueprint.get("/summary")
@operation()
def summary() -> Response:
    """Count the hosts by health, and their open events by severity and by type; those that are muted apart."""
    with reading(context().engine) as connection:
        fleet = hosts.fleet(connection)
        counts = events.count_open(connection)
        muted = events.count_muted(connection)
    by_severity = Counter(dict.fromkeys(get_args(events.Severity), 0))
    by_type: Counter[str] = Counter()
    for one in counts:
        by_severity[one.severity] += one.count
        by_type[one.type] += one.count
    return answer(
        {
            "hosts": {
                **fleet.hosts_by_health,
                "total": sum(fleet.hosts_by_health.values()),
                "monitored": fleet.monitored,
            },
            "events": {
                "open": by_severity.total(),
                "by_severity": dict(by_severity),
                "by_type": dict(by_type.most_common()),
                "muted": muted,
            },
        }
    )
