"""What is stored of all hosts, as their diagnosis takes it."""

from collections.abc import Mapping

from sqlalchemy import Connection

from api.case_history import seen_of
from api.diagnosis import fleet, measures, verdict
from api.diagnosis.fleet import Fleet
from api.diagnosis.measures import METRICS, Averages
from api.diagnosis.seen import WHOLE_SECONDS
from store import fleet_history, triage

_MOST_HOSTS = 20_000
"""That are looked at, so that no request takes seconds."""
_MOST_TAGGED = 500
"""Of the hosts that are held back, how many are asked for what they share."""


def fleet_of(connection: Connection, remedy_of: Mapping[str, str], now: float) -> Fleet:
    """Return what is known of all hosts, and the verdicts on those worst off; ``remedy_of`` as for one host."""
    stored = fleet_history.read(connection, METRICS, now, now - WHOLE_SECONDS, _MOST_HOSTS)
    found = measures.values(Averages(stored.whole, stored.recent))
    scores = measures.scores(found)
    close = fleet.to_look_at(stored.host_ids, scores, stored.severity)
    named = fleet_history.names_of(connection, [*close, *fleet.to_name(stored.host_ids, scores)])
    held_back = fleet.held_back(stored.host_ids, scores)
    # Evenly among them: those with the first ids were all let in at the same time.
    some = [*close, *held_back[:: 1 + len(held_back) // _MOST_TAGGED]]
    known = triage.tags_of(connection, some)
    tags = {host_id: known.get(host_id, frozenset()) for host_id in some}
    return Fleet(
        monitored=stored.monitored,
        host_ids=stored.host_ids,
        values=found,
        scores=scores,
        close={one: verdict.judge(seen_of(connection, named[one], remedy_of, now)) for one in close},
        names={host_id: host.name for host_id, host in named.items()},
        tags=tags,
        bearers=triage.monitored_by_tag(connection, {tag for mine in tags.values() for tag in mine}),
    )
