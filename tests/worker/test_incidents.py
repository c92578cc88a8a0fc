import itertools
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from store.triage import EventRow, IncidentRow
from worker.incidents import Fleet, group

CASES = tomllib.loads((Path(__file__).parent / "incidents.toml").read_text())["case"]


@dataclass
class Board:
    """What the store would have of incidents: who is in which, and what each is of."""

    hosts: list[str]
    fleet: Fleet
    events: dict[int, EventRow]
    subjects: dict[int, str]
    incidents: dict[int, IncidentRow]

    def see(self, new: Sequence[EventRow]) -> None:
        """Group new events, and keep what comes of it as the store would."""
        held = [event for event in self.events.values() if event.incident_id is not None]
        open_in = {event.incident_id for event in held if event.is_open}
        recent = [event for event in held if self.incidents[event.incident_id].type is None]
        known = [one for one in self.incidents.values() if one.type or one.id in open_in]
        for incident in group(new, [one for one in recent if one.type in {e.type for e in new}], known, self.fleet):
            place = incident.id or len(self.incidents) + 1
            times = incident.opened_at, incident.last_opened_at
            self.incidents[place] = IncidentRow(place, incident.host_id, incident.type, incident.tags, *times)
            for event in incident.events:
                self.events[event.id] = event._replace(incident_id=place)

    def told(self) -> Iterator[str]:
        """Yield the incidents in the form of the cases."""
        ordered = sorted(self.events.values(), key=lambda event: (event.opened_at, event.id))
        for place in dict.fromkeys(event.incident_id for event in ordered):
            incident = self.incidents[place]
            name = self.hosts[incident.host_id] if incident.host_id is not None else "fleet"
            of = f"tag {incident.tags[0]}" if incident.tags else name
            members = [
                f"{event.type} {self.hosts[event.host_id]} {self.subjects[event.id]}".strip()
                for event in ordered
                if event.incident_id == place
            ]
            yield f"{of}: {', '.join(members)}"


def board_of(case: dict[str, Any]) -> Board:
    tags = {place: frozenset(words.split()) for place, words in enumerate(case["hosts"].values())}
    bearers = Counter(itertools.chain.from_iterable(tags.values()))
    fleet = Fleet(tags, bearers, len(tags) + case.get("others", 0))
    return Board(list(case["hosts"]), fleet, {}, {}, {})


def read(board: Board, lines: Sequence[str]) -> list[EventRow]:
    new = []
    for line in lines:
        second, host, event_type, *rest = line.split()
        event = EventRow(
            len(board.subjects) + 1, board.hosts.index(host), event_type, float(second), "resolved" not in rest
        )
        board.subjects[event.id] = " ".join(word for word in rest if word != "resolved")
        new.append(event)
    return new


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_events_become_incidents(case: dict[str, Any]) -> None:
    board = board_of(case)
    board.see(read(board, case["events"]))
    board.see(read(board, case.get("then", [])))
    assert list(board.told()) == case["expect"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_it_makes_no_difference_which_of_the_events_of_one_moment_is_seen_first(case: dict[str, Any]) -> None:
    board = board_of(case)
    board.see(read(board, case["events"])[::-1])
    board.see(read(board, case.get("then", []))[::-1])
    assert list(board.told()) == case["expect"]
