"""Explaining what drains and sweeps opened, on both databases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, insert, select, update

from store import rollups
from store.aggregates import of_snapshots
from store.engine import reading, writing
from store.records import write_details
from store.schema import events, host_details
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.metrics import INDEX, NAMES
from wire.snapshot import Details, Process
from worker import duties, explanations
from worker.explanations import explain_new
from worker.inbox import Inbox
from worker.ingest import drain

HOUR = 3600.0


def busy_since(host: SimulatedHost, inbox: Inbox, engine: Engine, moment: float) -> None:
    """Have the host's CPU be busy for long enough, with a process that was started just before."""
    details = Details(processes_by_cpu=(Process(4711, moment - 40, "stress", "ada", 190.0, 0.1, 1e6),))
    for seconds in (0, 10, 20, 30):
        host.report(moment + seconds, details, cpu_percent=97.0)
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: moment + 30, {})


def usually(engine: Engine, host: SimulatedHost, cpu_by_start: dict[float, float]) -> None:
    """Have the host's history at 1 hour say that its CPU was at so much."""
    core = np.full((len(cpu_by_start), len(NAMES)), np.nan, np.float32)
    core[:, INDEX["cpu_percent"]] = list(cpu_by_start.values())
    host_ids = np.full(len(cpu_by_start), host.id, np.int64)
    with writing(engine) as connection:
        rollups.add(connection, "rollups_1h", of_snapshots(host_ids, np.array(list(cpu_by_start)), core))


def explained(engine: Engine) -> Sequence[Any]:
    with reading(engine) as connection:
        query = select(events.c.type, events.c.explanation, events.c.evidence).order_by(events.c.type)
        return connection.execute(query).all()


def test_an_event_is_explained_by_the_host_s_past_and_by_what_changed(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    day = 24 * HOUR
    usually(engine, host, {NOW - day: 12.0, NOW - 2 * day: 31.0, NOW - 3 * day: 20.0, NOW - HOUR: 90.0})
    busy_since(host, inbox, engine, NOW)
    assert explain_new(engine) == [host.id]
    [(_, text, evidence)] = explained(engine)
    assert text == (
        "CPU at 97 % (limit 85 %) since 08:00 UTC; usually 12 to 31 % at this hour. "
        "At 07:59 `stress` (pid 4711) was started and uses 190 % of one CPU."
    )
    assert [change["kind"] for change in evidence["changes"]] == ["process_started"]
    assert evidence["processes"][0]["pid"] == 4711


def test_what_is_explained_stays_as_it_is(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    busy_since(host, inbox, engine, NOW)
    explain_new(engine)
    before = explained(engine)
    usually(engine, host, {NOW - hours * HOUR: 50.0 for hours in range(1, 5)})
    assert explain_new(engine) == []
    assert explained(engine) == before


def test_an_event_that_opens_again_is_explained_anew(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    busy_since(host, inbox, engine, NOW)
    explain_new(engine)
    for seconds in (40, 50, 60, 70, 80):
        host.report(NOW + seconds, cpu_percent=10.0)
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: NOW + 80, {})
    busy_since(host, inbox, engine, NOW + 300)
    assert explain_new(engine) == [host.id]
    texts = {text for event_type, text, _ in explained(engine) if event_type == "cpu_high"}
    assert texts == {
        "CPU at 97 % (limit 85 %) since 08:05 UTC. At 08:04 `stress` (pid 4711) was started and uses 190 % of one CPU."
    }


def test_a_host_without_a_day_of_history_is_compared_with_its_last_hour(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    core = np.full((4, len(NAMES)), np.nan, np.float32)
    core[:, INDEX["cpu_percent"]] = [3, 9, 5, 60]
    starts = np.array([NOW - 900, NOW - 600, NOW - 300, NOW])
    with writing(engine) as connection:
        rollups.add(connection, "rollups_5m", of_snapshots(np.full(4, host.id, np.int64), starts, core))
    busy_since(host, inbox, engine, NOW)
    explain_new(engine)
    assert "; usually 3 to 9 % in the hour before." in explained(engine)[0].explanation


def test_what_a_sweep_opened_is_explained_too(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    for seconds in range(0, 100, 5):
        duties.sweep(engine, inbox, NOW + seconds)
    explain_new(engine)
    [(event_type, text, _)] = explained(engine)
    assert event_type == "host_down"
    assert text.startswith("No snapshot has ever come")


def test_details_that_cannot_be_read_leave_the_figures(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    busy_since(host, inbox, engine, NOW)
    with writing(engine) as connection:
        connection.execute(update(host_details).values(details=b"\xc1"))
        connection.execute(update(events).values(evidence={}))
    explain_new(engine)
    assert explained(engine)[0].explanation == "CPU at 97 % (limit 85 %) since 08:00 UTC."


def test_a_flood_of_events_is_explained_in_batches_the_newest_first(
    engine: Engine, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "_MOST_AT_ONCE", 2)
    opened = [NOW - 2 * 86400, NOW - 30, NOW - 10, NOW - 20, NOW - 40]
    times = [{"started_at": moment, "opened_at": moment, "last_at": moment} for moment in opened]
    row = {"host_id": host.id, "type": "disk_health", "severity": "critical", "state": "open", "evidence": {}}
    with writing(engine) as connection:
        connection.execute(insert(events), [{**row, **when, "subject": str(n)} for n, when in enumerate(times)])
    states = []
    for _ in range(3):
        explain_new(engine)
        with reading(engine) as connection:
            query = select(events.c.explanation).order_by(events.c.id)
            states.append([text is not None for text in connection.execute(query).scalars()])
    assert states == [[False, False, True, True, False], [False, True, True, True, True], [True] * 5]


def test_a_row_that_a_drain_holds_is_left_for_the_next_time(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    busy_since(host, inbox, engine, NOW)
    with writing(engine) as drain_under_way:
        drain_under_way.execute(update(events).values(value=98.0))
        explain_new(engine)
        assert explained(engine)[0].explanation is None
    explain_new(engine)
    assert explained(engine)[0].explanation is not None


def test_the_earlier_copy_of_details_is_up_to_ten_minutes_older_than_the_latest(
    engine: Engine, host: SimulatedHost
) -> None:
    seen = []
    for minute in (0, 1, 10, 11, 12, 22, 5):
        with writing(engine) as connection:
            write_details(connection, [(host.id, NOW + 60 * minute, b"%d" % minute)])
            row = connection.execute(
                select(
                    host_details.c.details,
                    host_details.c.earlier_details,
                    (host_details.c.earlier_taken_at - NOW) / 60,
                )
            ).one()
        seen.append(tuple(None if value is None else int(value) for value in row))
    assert seen == [
        (0, None, None),
        (1, 0, 0),
        (10, 0, 0),
        (11, 10, 10),
        (12, 10, 10),
        (22, 12, 12),
        (5, 22, 22),
    ]
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(host_details)) == 1
