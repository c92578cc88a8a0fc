"""The duty that makes of events what people look at: incidents, and events that are muted or not."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from store import leases
from store import triage as stored
from store.engine import reading, writing
from store.triage import EventRow
from wire import keys
from worker.inbox import Inbox
from worker.incidents import TOGETHER_SECONDS, Fleet, Incident, group, types_on_many_hosts

_EVENTS_AT_ONCE = 5000
# By then the duty was rung for again; a drain may wait for the process.
_LONGEST_SECONDS = 20.0


def triage(engine: Engine, inbox: Inbox, clock: Callable[[], float]) -> None:
    """Put new events into incidents, mute and unmute events, in as many transactions as there is work for."""
    started_at = clock()
    changed: Sequence[int] | set[int] = [0]
    while changed and clock() < started_at + _LONGEST_SECONDS:
        now = clock()
        with reading(engine) as connection:
            if not stored.has_work(connection, now):
                return
        with writing(engine) as connection:
            changed = _round(connection, now) if leases.hold(connection, keys.TASK_TRIAGE, now) else ()
        inbox.announce({"events": changed})


def _round(connection: Connection, now: float) -> set[int]:
    """Do what there is to do, up to a bound; return the hosts whose events changed."""
    mutings = [*stored.to_unmute(connection, now, _EVENTS_AT_ONCE), *stored.to_mute(connection, now, _EVENTS_AT_ONCE)]
    stored.set_muted(connection, mutings)
    return {one.host_id for one in mutings} | _place(connection, stored.new_events(connection, _EVENTS_AT_ONCE))


def _place(connection: Connection, new: Sequence[EventRow]) -> set[int]:
    if not new:
        return set()
    start = min(event.opened_at for event in new) - TOGETHER_SECONDS
    end = max(event.opened_at for event in new) + TOGETHER_SECONDS
    types = {event.type for event in new}
    recent = stored.events_of_one_host(connection, types, start, end)
    known = [
        *stored.incidents_of_many_hosts(connection, types, start, end),
        *stored.open_incidents_of_hosts(connection, {event.host_id for event in new}, start),
    ]
    fleet = _fleet(connection, new, recent, any(one.type for one in known))
    incidents = group(new, recent, known, fleet)
    _write(connection, incidents)
    return {event.host_id for incident in incidents for event in incident.events}


def _fleet(connection: Connection, new: Sequence[EventRow], recent: Sequence[EventRow], may_continue: bool) -> Fleet:
    types = types_on_many_hosts(new, recent)
    if not types and not may_continue:
        return Fleet()
    tags = stored.tags_of(connection, {event.host_id for event in (*new, *recent)})
    named = {tag for mine in tags.values() for tag in mine}
    return Fleet(tags, stored.monitored_by_tag(connection, named), stored.monitored(connection))


def _write(connection: Connection, incidents: Sequence[Incident]) -> None:
    begun = [incident for incident in incidents if incident.id is None]
    ids = stored.add_incidents(connection, [_columns(incident) for incident in begun])
    placed = list(zip(ids, begun, strict=True))
    continued = [(incident.id, incident) for incident in incidents if incident.id is not None]
    stored.extend_incidents(connection, [_changes(incident) | {"known": known} for known, incident in continued])
    placed += continued
    stored.assign(
        connection,
        [incident_id for incident_id, incident in placed for _ in incident.events],
        [event.id for _, incident in placed for event in incident.events],
    )
    stored.merge(
        connection,
        {
            event.incident_id: incident_id
            for incident_id, incident in placed
            for event in incident.events
            if event.incident_id is not None
        },
    )


def _columns(incident: Incident) -> dict[str, Any]:
    return {"host_id": incident.host_id, "type": incident.type} | _changes(incident)


def _changes(incident: Incident) -> dict[str, Any]:
    return {"tags": incident.tags, "opened_at": incident.opened_at, "last_opened_at": incident.last_opened_at}
