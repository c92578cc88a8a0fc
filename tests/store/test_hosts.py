from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, update

import migrations
from store import events as stored_events
from store import hosts, schema
from store.engine import connect, reading, writing
from store.enrollment import enroll
from store.schema import events, host_state, snapshots
from tests.core import packed


def test_of_two_snapshots_with_the_same_time_the_later_in_order_is_shown(engine: Engine) -> None:
    with writing(engine) as connection:
        host_id = enroll(connection, "web", now=1.0).id
        connection.execute(update(host_state).values(received_at=9.0, taken_at=5.0))
        for incarnation, sequence, cpu_percent in [(2, 2, 3.0), (2, 1, 2.0), (1, 9, 1.0)]:
            key = {"host_id": host_id, "incarnation": incarnation, "sequence": sequence}
            times = {"received_at": 9.0, "taken_at": 5.0, "interval_seconds": 30.0}
            connection.execute(insert(snapshots), key | times | {"core": packed(cpu_percent=cpu_percent)})
    with reading(engine) as connection:
        host = hosts.find(connection, "web")
    assert host is not None
    assert host.metrics["cpu_percent"] == 3.0


def test_a_reference_is_an_id_or_a_name(engine: Engine) -> None:
    with writing(engine) as connection:
        host_id = enroll(connection, "web-1", now=1.0).id
    web = hosts.HostName(host_id, "web-1")
    with reading(engine) as connection:
        found = {
            reference: hosts.identify(connection, reference)
            for reference in (
                "web-1",
                str(host_id),
                f"0{host_id}",
                "WEB-1",
                "web",
                "",
                str(2**63),
                "9" * 5000,
                "web-1\0",
            )
        }
    assert list(found.values()) == [web, web, web, None, None, None, None, None, None]


def test_the_only_host_is_known_while_there_is_just_one(engine: Engine) -> None:
    with writing(engine) as connection:
        assert hosts.only(connection) is None
        first = enroll(connection, "first", now=1.0).id
        assert hosts.only(connection) == hosts.HostName(first, "first")
        enroll(connection, "second", now=1.0)
        assert hosts.only(connection) is None


def test_the_fleet_is_counted_by_health(engine: Engine) -> None:
    with writing(engine) as connection:
        ids = {name: enroll(connection, name, now=1.0).id for name in ("ill", "well", "silent", "gone")}
        seen = host_state.c.host_id.in_((ids["ill"], ids["well"], ids["gone"]))
        connection.execute(update(host_state).where(seen).values(received_at=2.0))
        connection.execute(update(schema.hosts).where(schema.hosts.c.name == "gone").values(revoked_at=2.0))
        connection.execute(update(schema.hosts).where(schema.hosts.c.name == "well").values(paused=True))
        for host, kind, state in [
            ("ill", "a", "open"),
            ("ill", "b", "open"),
            ("well", "a", "resolved"),
            ("gone", "a", "open"),
        ]:
            connection.execute(insert(events), _event(ids[host], kind, state))
    with reading(engine) as connection:
        assert hosts.fleet(connection) == hosts.Fleet(
            hosts_by_health={"healthy": 1, "warning": 0, "critical": 1, "unknown": 1}, monitored=2, open_events=2
        )


def _event(host_id: int, kind: str, state: str) -> dict[str, Any]:
    times = {"started_at": 1.0, "opened_at": 1.0, "last_at": 1.0}
    return {
        "host_id": host_id,
        "type": kind,
        "subject": "",
        "severity": "high",
        "state": state,
        "evidence": {},
        **times,
    }


READS: dict[str, Callable[[Connection], Any]] = {
    "a page of hosts": lambda connection: hosts.page(connection, limit=100),
    "one host": lambda connection: hosts.find(connection, "web"),
    "the fleet": hosts.fleet,
    "open events": lambda connection: stored_events.page(connection, stored_events.EventFilter(state="open"), limit=9),
}


@pytest.mark.parametrize("read", READS)
def test_open_events_are_read_by_their_own_index_however_many_are_resolved(tmp_path: Path, read: str) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'fleetmedic.db'}")
    migrations.upgrade(engine)
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    with reading(engine) as connection:
        READS[read](connection)
        plans = [
            step[-1]
            for statement, parameters in tuple(statements)
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    of_events = [step for step in plans if " events " in step]
    assert of_events
    assert [step for step in of_events if "uq_events_open" not in step] == []
    engine.dispose()
