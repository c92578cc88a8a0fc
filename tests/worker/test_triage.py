import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from store import hosts, incidents, maintenance
from store.engine import reading, writing
from store.schema import events
from store.triage import has_work
from tests.api.conftest import Rows
from tests.worker.conftest import NOW
from worker.inbox import Inbox
from worker.triage import triage

CASES = tomllib.loads((Path(__file__).parent / "muting.toml").read_text())["case"]


class Story:
    """A fleet in a real database, moved on line by line."""

    def __init__(self, engine: Engine, inbox: Inbox, tags: dict[str, str]) -> None:
        self._engine = engine
        self._inbox = inbox
        self._rows = Rows(engine)
        self._hosts = {name: self._rows.host(name, tags=words.split()) for name, words in tags.items()}
        for host in self._hosts.values():
            self._rows.snapshot(host, NOW - 60)
        self._window = 0

    def happen(self, second: float, verb: str, words: list[str]) -> None:
        now = NOW + second
        if verb == "open":
            self._rows.event(self._hosts[words[0]], words[1], opened_at=now)
        elif verb in ("resolve", "reopen"):
            mine = (events.c.host_id == self._hosts[words[0]], events.c.type == words[1])
            resolved = {"state": "resolved", "resolved_at": now}
            reopened = {"state": "open", "resolved_at": None, "reopened_at": now}
            with writing(self._engine) as connection:
                connection.execute(update(events).where(*mine).values(resolved if verb == "resolve" else reopened))
        elif verb == "window":
            self._announce(words, now)
        elif verb == "end":
            with writing(self._engine) as connection:
                assert maintenance.end(connection, self._window, "test", now)
        else:
            assert verb == "wait"
        triage(self._engine, self._inbox, lambda: now)

    def see(self, what: str, words: str) -> None:
        if what == "health":
            name, expected = words.split()
            with reading(self._engine) as connection:
                host = hosts.find(connection, name)
            assert host is not None
            assert host.health == expected
        else:
            condition = (
                events.c.muted_by.is_not(None) if what == "were" else events.c.muted & (events.c.state == "open")
            )
            assert self._listed(condition) == words

    def _announce(self, words: Sequence[str], now: float) -> None:
        *of, start, end = words
        with writing(self._engine) as connection:
            self._window = maintenance.add(
                connection,
                host_id=self._hosts.get(of[0]),
                tag=of[1] if of[0] == "tag" else None,
                starts_at=NOW + float(start),
                ends_at=None if end == "never" else NOW + float(end),
                reason="a new disk",
                by="test",
                now=now,
            )

    def _listed(self, condition: Any) -> str:
        query = select(events.c.host_id, events.c.type, events.c.muted_by).where(condition)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(events.c.host_id, events.c.type)).all()
        names = {host: name for name, host in self._hosts.items()}
        return ", ".join(f"{names[host]} {event_type} by {by}" for host, event_type, by in rows)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_events_are_muted_and_unmuted(engine: Engine, inbox: Inbox, case: dict[str, Any]) -> None:
    story = Story(engine, inbox, case["hosts"])
    for line in case["steps"]:
        second, verb, *words = line.split()
        if verb in ("muted", "were", "health"):
            story.see(verb, " ".join(words))
        else:
            story.happen(float(second), verb, words)


def run(engine: Engine, inbox: Inbox, now: float = NOW) -> None:
    triage(engine, inbox, lambda: now)


def listed(engine: Engine, **wanted: Any) -> list[incidents.Incident]:
    with reading(engine) as connection:
        return incidents.page(connection, incidents.IncidentFilter(**wanted), limit=100)


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return Rows(engine)


def test_an_incident_is_resolved_with_the_last_of_its_events_and_opens_again_with_one(
    engine: Engine, inbox: Inbox, rows: Rows
) -> None:
    web = rows.host("web")
    cpu, memory = rows.event(web, "cpu_high"), rows.event(web, "memory_high")
    run(engine, inbox)
    for event, at in ((cpu, NOW + 1), (memory, NOW + 2)):
        assert [(one.open_events > 0, one.resolved_at) for one in listed(engine)] == [(True, None)]
        with writing(engine) as connection:
            connection.execute(update(events).where(events.c.id == event).values(state="resolved", resolved_at=at))
    assert [one.resolved_at for one in listed(engine, state="resolved")] == [NOW + 2]
    with writing(engine) as connection:
        connection.execute(update(events).where(events.c.id == cpu).values(state="open", resolved_at=None))
    assert [(one.events, one.open_events) for one in listed(engine, state="open")] == [(2, 1)]
    assert listed(engine, state="resolved") == []


def test_the_cause_is_that_the_host_is_down_else_the_worst_else_the_first(
    engine: Engine, inbox: Inbox, rows: Rows
) -> None:
    web = rows.host("web")
    causes = []
    for event_type, severity, opened_at in (
        ("cpu_high", "high", NOW),
        ("memory_high", "high", NOW + 1),
        ("disk_full", "critical", NOW + 2),
        ("host_down", "critical", NOW + 3),
    ):
        rows.event(web, event_type, severity=severity, opened_at=opened_at)
        run(engine, inbox, opened_at)
        [incident] = listed(engine)
        causes.append((incident.cause.type, incident.severity))
    assert causes == [("cpu_high", "high"), ("cpu_high", "high"), ("disk_full", "critical"), ("host_down", "critical")]


def test_the_incident_that_was_taken_over_leads_to_the_one_that_took_it(
    engine: Engine, inbox: Inbox, rows: Rows
) -> None:
    fleet = [rows.host(f"host-{number}") for number in range(5)]
    for host in fleet[:4]:
        rows.event(host, opened_at=NOW)
    run(engine, inbox)
    before = [one.id for one in listed(engine)]
    rows.event(fleet[4], opened_at=NOW + 10)
    run(engine, inbox, NOW + 10)
    [wide] = listed(engine)
    assert (wide.hosts, wide.opened_at, wide.last_opened_at) == (5, NOW, NOW + 10)
    with reading(engine) as connection:
        found = [incidents.find(connection, one) for one in before]
    assert [one and one.id for one in found] == [wide.id] * 4


def test_with_nothing_new_there_is_nothing_to_do(engine: Engine, inbox: Inbox, rows: Rows) -> None:
    web = rows.host("web")
    rows.event(web, "host_down")
    rows.event(web, "disk_full")
    run(engine, inbox)
    with reading(engine) as connection:
        assert not has_work(connection, NOW + 1)


def test_many_events_at_once_are_placed_in_many_steps(
    engine: Engine, inbox: Inbox, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.triage._EVENTS_AT_ONCE", 3)
    fleet = [rows.host(f"host-{number}", tags=["web"]) for number in range(10)]
    for host in fleet:
        rows.event(host, "disk_full", opened_at=NOW)
        rows.event(host, "host_down", opened_at=NOW + 30)
    run(engine, inbox)
    assert sorted((one.type, one.hosts, one.muted_events, tuple(one.tags)) for one in listed(engine)) == [
        ("disk_full", 10, 10, ("web",)),
        ("host_down", 10, 0, ("web",)),
    ]


def test_an_event_that_a_drain_has_in_hand_is_left_for_the_next_round(engine: Engine, inbox: Inbox, rows: Rows) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("on SQLite one transaction writes at a time")
    web = rows.host("web")
    held, free = rows.event(web, "cpu_high"), rows.event(web, "memory_high")
    with writing(engine) as drain:
        drain.execute(update(events).where(events.c.id == held).values(value=99.0))
        run(engine, inbox)
        with reading(engine) as connection:
            placed = select(events.c.id).where(events.c.incident_id.is_not(None))
            assert list(connection.execute(placed).scalars()) == [free]
    run(engine, inbox)
    assert [one.events for one in listed(engine)] == [2]


def test_live_pages_are_told_whose_events_changed(engine: Engine, inbox: Inbox, rows: Rows, client: Any) -> None:
    told = client.pubsub()
    told.subscribe("fleetmedic:changes")
    told.get_message(timeout=2)
    web = rows.host("web")
    rows.event(web)
    run(engine, inbox)
    message = told.get_message(timeout=2)
    told.close()
    assert message["data"] == b'{"events":[%d]}' % web
