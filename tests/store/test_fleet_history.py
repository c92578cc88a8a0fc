import numpy as np
import pytest
from sqlalchemy import Engine, insert, update

from store import fleet_history
from store.engine import reading, writing
from store.enrollment import enroll
from store.fleet_history import FleetHistory
from store.schema import events, host_state, snapshots
from tests.core import packed

NOW = 1_800_000_000.0


def read(engine: Engine, most: int = 100) -> FleetHistory:
    with reading(engine) as connection:
        return fleet_history.read(connection, ["cpu_percent", "load_1"], NOW, NOW - 900, most)


@pytest.fixture
def host_ids(engine: Engine) -> list[int]:
    """Four hosts that were just heard of, each with its place as its CPU and a load that is missing."""
    with writing(engine) as connection:
        ids = [enroll(connection, f"host-{place}", now=NOW - 3600).id for place in range(4)]
        times = {"received_at": NOW - 1, "taken_at": NOW - 1, "interval_seconds": 5.0}
        connection.execute(
            insert(snapshots),
            [
                {"host_id": one, "incarnation": 1, "sequence": 1, **times, "core": packed(cpu_percent=place)}
                for place, one in enumerate(ids)
            ],
        )
        connection.execute(update(host_state).values(times))
    return ids


def test_what_is_not_rolled_up_yet_is_read_from_the_last_snapshot(engine: Engine, host_ids: list[int]) -> None:
    found = read(engine)
    assert found.host_ids.tolist() == host_ids
    assert found.recent[:, 0].tolist() == found.whole[:, 0].tolist() == [0, 1, 2, 3]
    assert np.isnan(found.recent[:, 1]).all()


def test_a_host_that_is_silent_has_no_means(engine: Engine, host_ids: list[int]) -> None:
    with writing(engine) as connection:
        silent = update(host_state).where(host_state.c.host_id == host_ids[1])
        connection.execute(silent.values(taken_at=NOW - 901))
    found = read(engine)
    assert found.host_ids.tolist() == [host_ids[0], *host_ids[2:]]
    assert found.monitored == 4


def test_of_too_many_hosts_those_with_open_events_come_first(engine: Engine, host_ids: list[int]) -> None:
    event = {
        "host_id": host_ids[3],
        "type": "service_down",
        "severity": "high",
        "muted": False,
        "evidence": {},
        "started_at": NOW,
        "opened_at": NOW,
        "last_at": NOW,
    }
    with writing(engine) as connection:
        connection.execute(
            insert(events),
            [
                event | {"subject": "nginx", "state": "open"},
                event | {"subject": "cron", "state": "open", "severity": "critical"},
                event | {"subject": "cron", "state": "resolved", "host_id": host_ids[2]},
                event | {"subject": "ssh", "state": "open", "muted": True, "host_id": host_ids[2]},
            ],
        )
    found = read(engine, most=2)
    assert found.host_ids.tolist() == [host_ids[0], host_ids[3]]
    assert found.severity == {host_ids[3]: "critical"}
