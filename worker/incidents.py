"""Which events are one trouble: on one host, or of one type on many hosts. Pure.

Events that open on a host within two minutes of one another are one incident. Events of one type that open within two
minutes on many hosts are one too, whatever else goes on on those hosts; it takes over those that came first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from store.triage import EventRow, IncidentRow

TOGETHER_SECONDS = 120.0
MANY_HOSTS = 5
HOST_DOWN = "host_down"


@dataclass(frozen=True)
class Fleet:
    """The hosts around the events: only so much of them as bears upon which of them belong together."""

    tags: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Of each host that has any, by host id."""
    hosts_by_tag: Mapping[str, int] = field(default_factory=dict)
    """How many monitored hosts bear each of those tags."""
    hosts: int = 0
    """How many hosts are monitored in all."""


@dataclass
class Incident:
    """What the events that are given to it have in common; ``id`` is None for a new one."""

    id: int | None
    host_id: int | None
    type: str | None
    tags: tuple[str, ...]
    """Those that all its hosts share, the one with the fewest hosts first; empty for one host."""
    opened_at: float
    last_opened_at: float
    is_open: bool
    events: list[EventRow]
    """Those that become its members now."""

    def is_near(self, event: EventRow) -> bool:
        """Tell whether an event opened while this incident went on, or within two minutes of it."""
        return self.opened_at - TOGETHER_SECONDS <= event.opened_at <= self.last_opened_at + TOGETHER_SECONDS

    def take(self, event: EventRow) -> None:
        """Make an event a member."""
        self.events.append(event)
        self.opened_at = min(self.opened_at, event.opened_at)
        self.last_opened_at = max(self.last_opened_at, event.opened_at)
        self.is_open = self.is_open or event.is_open


def group(
    new: Sequence[EventRow], recent: Sequence[EventRow], known: Sequence[IncidentRow], fleet: Fleet
) -> list[Incident]:
    """Return the incidents that gain members, each new event in one of them.

    ``recent`` are events of the same types that are in incidents of one host; ``known`` are the incidents that are
    near in time: those of many hosts, and those of these hosts that are open.
    """
    wide: list[Incident] = []
    for event_type, events in _by_type(new, recent).items():
        wide += _of_many_hosts(event_type, events, [one for one in known if one.type == event_type], fleet)
    placed = {event.id for incident in wide for event in incident.events}
    narrow = _of_one_host(
        [event for event in new if event.id not in placed], [one for one in known if one.type is None]
    )
    return [*wide, *narrow]


def types_on_many_hosts(new: Iterable[EventRow], recent: Iterable[EventRow]) -> set[str]:
    """Return the types that are on more than one host: whether those belong together, only the fleet around tells."""
    hosts: dict[str, set[int]] = defaultdict(set)
    for event in (*new, *recent):
        hosts[event.type].add(event.host_id)
    return {event_type for event_type, host_ids in hosts.items() if len(host_ids) > 1}


def _by_type(new: Sequence[EventRow], recent: Sequence[EventRow]) -> dict[str, list[EventRow]]:
    by_type: dict[str, list[EventRow]] = defaultdict(list)
    for event in sorted((*new, *recent), key=_in_time):
        by_type[event.type].append(event)
    return by_type


def _in_time(event: EventRow) -> tuple[float, int]:
    return event.opened_at, event.id


def _of_many_hosts(
    event_type: str, events: Sequence[EventRow], known: Sequence[IncidentRow], fleet: Fleet
) -> list[Incident]:
    incidents = [_continued(one) for one in known]
    waiting: list[EventRow] = []
    for event in events:
        incident = next((one for one in reversed(incidents) if one.is_near(event)), None)
        if incident is None:
            waiting = [one for one in waiting if one.opened_at >= event.opened_at - TOGETHER_SECONDS]
            waiting.append(event)
            if _are_many(event_type, waiting, fleet):
                incidents.append(_begun(waiting, None, event_type, _shared_tags(waiting, fleet)))
                waiting = []
        else:
            incident.take(event)
            mine = fleet.tags.get(event.host_id, frozenset())
            incident.tags = tuple(tag for tag in incident.tags if tag in mine)
    return [incident for incident in incidents if incident.events]


def _are_many(event_type: str, events: Sequence[EventRow], fleet: Fleet) -> bool:
    host_ids = {event.host_id for event in events}
    if len(host_ids) >= MANY_HOSTS:
        return True
    if event_type != HOST_DOWN or len(host_ids) < 2:
        return False
    # A tag or a fleet may have fewer hosts than are many; that all of them fall silent has one cause all the same.
    bearers: dict[str, int] = defaultdict(int)
    for host_id in host_ids:
        for tag in fleet.tags.get(host_id, ()):
            bearers[tag] += 1
    whole_tag = any(count > 1 and count >= fleet.hosts_by_tag.get(tag, 0) for tag, count in bearers.items())
    return whole_tag or len(host_ids) >= fleet.hosts


def _shared_tags(events: Sequence[EventRow], fleet: Fleet) -> tuple[str, ...]:
    shared = frozenset.intersection(*(fleet.tags.get(event.host_id, frozenset()) for event in events))
    return tuple(sorted(shared, key=lambda tag: (fleet.hosts_by_tag.get(tag, 0), tag)))


def _of_one_host(events: Sequence[EventRow], known: Sequence[IncidentRow]) -> list[Incident]:
    last: dict[int, Incident] = {}
    for one in sorted(known, key=lambda one: one.last_opened_at):
        if one.host_id is not None:
            last[one.host_id] = _continued(one)
    incidents = list(last.values())
    for event in sorted(events, key=_in_time):
        incident = last.get(event.host_id)
        if incident is None or not incident.is_open or not incident.is_near(event):
            last[event.host_id] = _begun([event], event.host_id, None, ())
            incidents.append(last[event.host_id])
        else:
            incident.take(event)
    return [incident for incident in incidents if incident.events]


def _continued(known: IncidentRow) -> Incident:
    return Incident(
        known.id, known.host_id, known.type, known.tags, known.opened_at, known.last_opened_at, is_open=True, events=[]
    )


def _begun(events: Sequence[EventRow], host_id: int | None, event_type: str | None, tags: tuple[str, ...]) -> Incident:
    return Incident(
        id=None,
        host_id=host_id,
        type=event_type,
        tags=tags,
        opened_at=min(event.opened_at for event in events),
        last_opened_at=max(event.opened_at for event in events),
        is_open=any(event.is_open for event in events),
        events=list(events),
    )
