"""The duty of deviation on both databases: buckets of roll-ups in, events out."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, insert, select, update

from store import deviations, rollups
from store.aggregates import FIVE_MINUTES, of_snapshots
from store.engine import reading, writing
from store.enrollment import enroll
from store.schema import deviation_lanes, events, hosts, tags
from tests.worker.conftest import NOW
from wire.metrics import INDEX, NAMES
from worker.detection.deviation import score
from worker.detection.deviation.metrics import METRICS
from worker.deviation import look_for_deviations

BUSY = ("cpu_user_percent", "load_1", "memory_percent", "threads", "tcp_connections", "context_switches_per_second")
USUAL = {name: 10.0 + place for place, name in enumerate(METRICS)}


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a host's own history be told of after ten hours: these are tests of the duty, days of buckets take long."""
    monkeypatch.setattr(score, "SILENT_BUCKETS", 120)
    monkeypatch.setattr(score, "YOUNG_BUCKETS", 120)


def usual_day(hosts_there: int, buckets: int) -> NDArray[np.float32]:
    """Return (buckets, hosts, metrics of the catalogue) of hosts on which nothing happens."""
    chance = np.random.default_rng(3)
    core = np.full((buckets, hosts_there, len(NAMES)), np.nan, np.float32)
    for name, level in USUAL.items():
        core[:, :, INDEX[name]] = level + chance.normal(0, 0.5, (buckets, hosts_there))
    return core


def make_busy(core: NDArray[np.float32], host: int, first: int, last: int) -> None:
    """Let six metrics of a host be ten times what they are, from one bucket to before another."""
    for name in BUSY:
        core[first:last, host, INDEX[name]] *= 10


def fill(engine: Engine, host_ids: list[int], core: NDArray[np.float32]) -> float:
    """Roll up buckets that begin at NOW, one snapshot of each host in each; return when the last one ends."""
    starts = NOW + FIVE_MINUTES * np.arange(len(core), dtype=np.float64)
    with writing(engine) as connection:
        deviations.add_missing_lanes(connection, NOW)
        everything = of_snapshots(
            np.tile(np.array(host_ids), len(core)), np.repeat(starts, len(host_ids)), core.reshape(-1, len(NAMES))
        )
        rollups.add(connection, "rollups_5m", everything)
    return NOW + FIVE_MINUTES * len(core)


def look_until(engine: Engine, end: float) -> None:
    """Run the duty until all buckets that end by then were looked at."""
    now = end + 60.0
    while True:
        look_for_deviations(engine, lambda: now)  # noqa: B023 - called at once
        with reading(engine) as connection:
            if all(until >= end for until in connection.scalars(select(deviation_lanes.c.until))):
                return
        now += 10.0


def told(engine: Engine) -> list[tuple[int, str, str, float, float | None]]:
    columns = (events.c.host_id, events.c.subject, events.c.state, events.c.opened_at, events.c.resolved_at)
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).where(events.c.type == "deviation").order_by(events.c.id))
        return [tuple(row) for row in rows]


@pytest.fixture
def three(engine: Engine) -> list[int]:
    with writing(engine) as connection:
        return [enroll(connection, f"host-{number}", now=NOW).id for number in range(3)]


def test_a_host_that_leaves_what_is_usual_for_it_has_one_event_and_the_others_none(
    engine: Engine, three: list[int]
) -> None:
    core = usual_day(3, 200)
    make_busy(core, 1, 150, 160)
    look_until(engine, fill(engine, three, core))
    (only,) = told(engine)
    opened_at = NOW + 151 * FIVE_MINUTES
    assert only[0] == three[1]
    assert only[1] in BUSY
    assert only[2:4] == ("resolved", opened_at)


def test_the_event_says_what_was_expected_and_what_was_seen(engine: Engine, three: list[int]) -> None:
    core = usual_day(3, 155)
    make_busy(core, 1, 150, 155)
    look_until(engine, fill(engine, three, core))
    with reading(engine) as connection:
        evidence = connection.scalar(select(events.c.evidence).where(events.c.type == "deviation"))
    assert evidence is not None
    by_name = {metric["name"]: metric for metric in evidence["metrics"]}
    assert by_name.keys() == set(BUSY)
    assert by_name["load_1"]["expected"] == pytest.approx(USUAL["load_1"], abs=1)
    assert by_name["load_1"]["seen"] == pytest.approx(10 * USUAL["load_1"], rel=0.2)


def test_a_worker_that_dies_before_it_commits_changes_nothing_of_what_is_told(
    engine: Engine, three: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = usual_day(3, 170)
    make_busy(core, 0, 150, 153)
    make_busy(core, 2, 140, 160)
    end = fill(engine, three, core)
    looks = 0

    def dying(*written: object) -> None:
        nonlocal looks
        looks += 1
        really(*written)  # type: ignore[arg-type]
        if looks % 3 == 0:
            raise KeyboardInterrupt

    really = deviations.write_lane
    monkeypatch.setattr(deviations, "write_lane", dying)
    for _ in range(170):
        try:
            look_until(engine, end)
        except KeyboardInterrupt:
            with writing(engine) as connection:
                connection.exec_driver_sql("DELETE FROM duties")
        else:
            break
    assert [row[0] for row in told(engine)] == [three[2], three[0]]
    assert [row[3] for row in told(engine)] == [NOW + 141 * FIVE_MINUTES, NOW + 151 * FIVE_MINUTES]
    assert looks > 170


def test_a_host_that_is_paused_has_no_deviation_open(engine: Engine, three: list[int]) -> None:
    core = usual_day(3, 153)
    make_busy(core, 1, 150, 153)
    end = fill(engine, three, core)
    look_until(engine, end)
    with writing(engine) as connection:
        connection.execute(update(hosts).where(hosts.c.id == three[1]).values(paused=True))
    look_until(engine, end + FIVE_MINUTES)
    assert [row[2] for row in told(engine)] == ["resolved"]


def test_the_odd_one_among_its_peers_is_told_within_the_first_hour(engine: Engine) -> None:
    with writing(engine) as connection:
        ten = [enroll(connection, f"host-{number}", now=NOW).id for number in range(10)]
        connection.execute(insert(tags), [{"host_id": host, "tag": "web"} for host in ten])
    core = usual_day(10, 12)
    make_busy(core, 4, 0, 12)
    look_until(engine, fill(engine, ten, core))
    assert [row[0] for row in told(engine)] == [ten[4]]
