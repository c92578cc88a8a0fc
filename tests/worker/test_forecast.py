"""The duty of disk_forecast on real databases: what it writes, for whom, and once."""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select, update

from store import filesystems
from store.engine import connect, reading, writing
from store.monitoring import set_paused
from store.records import write_details
from store.schema import events, hosts, scripts
from tests.worker.conftest import NOW, SimulatedHost
from wire.snapshot import Details, Directory, Filesystem, encode_details
from worker import forecast as duty
from worker.filling import DISK_FORECAST

NewHost = Callable[[], SimulatedHost]
REMEDIES = {DISK_FORECAST: "disk_full"}
MOUNT = "/srv/data"
RING = 311.0
FORK = multiprocessing.get_context("fork")
LOGS = Directory(MOUNT, "/srv/data/logs", 9e9, 3e9, 600.0)
ELSEWHERE = Directory("/srv/boot", "/srv/boot/kernels", 1e8, 2e7, 600.0)


def measured(engine: Engine, host: SimulatedHost, at: float, **percent: float) -> None:
    """Store details as a drain does, of mounts named by words."""
    there = tuple(
        Filesystem(f"/srv/{name}", "/dev/sdb1", "ext4", 1e12, value * 1e10, value, 5.0)
        for name, value in percent.items()
    )
    with writing(engine) as connection:
        details = encode_details(Details(filesystems=there, directories=(LOGS, ELSEWHERE)))
        write_details(connection, [(host.id, at, bytes(details))])


def ring(engine: Engine, now: float) -> duty.Forecasted:
    return duty.forecast(engine, REMEDIES, lambda: now)


def fill(engine: Engine, some: Iterable[SimulatedHost], visits: range) -> None:
    """Let a filesystem of these hosts fill at 30 percent an hour, from 20 on."""
    for visit in visits:
        at = NOW + RING * visit
        for host in some:
            measured(engine, host, at - 5, data=min(100.0, 20 + 30 * RING * visit / 3600), boot=40.0)
        ring(engine, at)


def disk_events(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        query = select(events).where(events.c.type == DISK_FORECAST).order_by(events.c.id)
        return list(connection.execute(query).all())


def states(engine: Engine) -> list[tuple[int, str, str]]:
    return [(row.host_id, row.subject, row.state) for row in disk_events(engine)]


def test_a_filesystem_that_fills_opens_an_event_with_its_figures_and_its_script(
    engine: Engine, host: SimulatedHost
) -> None:
    fill(engine, [host], range(18))
    [event] = disk_events(engine)
    assert (event.subject, event.state, event.severity, event.limit_value) == (MOUNT, "open", "medium", 86400.0)
    foreseen, shown = event.evidence["forecast"], event.evidence["filesystem"]
    assert foreseen["growth_per_hour_bytes"] == pytest.approx(3e11, rel=0.05)
    assert foreseen["full_in_low_seconds"] <= foreseen["full_in_seconds"] <= foreseen["full_in_high_seconds"]
    left = (100 - shown["used_percent"]) / 30 * 3600
    assert foreseen["full_in_seconds"] == pytest.approx(left, rel=0.05)
    assert (shown["mount"], shown["size_bytes"]) == (MOUNT, 1e12)
    assert event.evidence["directories"] == [
        {"path": "/srv/data/logs", "bytes": 9e9, "growth_bytes": 3e9, "seconds": 600.0}
    ]
    with reading(engine) as connection:
        [job] = connection.execute(select(scripts)).all()
    assert (job.event_id, job.issue_type, job.state) == (event.id, "disk_full", "queued")


def test_history_is_kept_of_each_mount(engine: Engine, host: SimulatedHost) -> None:
    fill(engine, [host], range(12))
    with reading(engine) as connection:
        history = filesystems.history(connection, host.id)
    assert history is not None
    assert history.mounts == [MOUNT, "/srv/boot"]
    assert history.percent[-1].tolist() == [pytest.approx([48.51, 5.0], abs=0.01), [40.0, 5.0]]
    assert np.all(np.diff(history.at) > 0)


@pytest.mark.parametrize("how", ["paused", "revoked"])
def test_the_event_of_a_host_that_nobody_watches_resolves(engine: Engine, host: SimulatedHost, how: str) -> None:
    fill(engine, [host], range(18))
    with writing(engine) as connection:
        if how == "paused":
            set_paused(connection, host.id, True, NOW)
        else:
            connection.execute(update(hosts).values(revoked_at=NOW))
    ring(engine, NOW + 18 * RING)
    assert states(engine) == [(host.id, MOUNT, "resolved")]


def test_the_event_of_a_filesystem_that_is_gone_resolves(engine: Engine, host: SimulatedHost) -> None:
    fill(engine, [host], range(18))
    for visit in (18, 19):
        measured(engine, host, NOW + visit * RING - 5, boot=40.0)
        ring(engine, NOW + visit * RING)
    assert states(engine) == [(host.id, MOUNT, "resolved")]


def test_details_that_tell_of_no_filesystem_say_nothing(engine: Engine, host: SimulatedHost) -> None:
    fill(engine, [host], range(18))
    measured(engine, host, NOW + 18 * RING - 5)
    ring(engine, NOW + 18 * RING)
    assert states(engine) == [(host.id, MOUNT, "open")]


def test_details_that_cannot_be_read_leave_the_other_hosts_be(engine: Engine, new_host: NewHost) -> None:
    broken, well = new_host(), new_host()
    with writing(engine) as connection:
        write_details(connection, [(broken.id, NOW - 10, b"\xc1")])
    fill(engine, [well], range(18))
    assert states(engine) == [(well.id, MOUNT, "open")]


def test_hosts_of_many_lanes_are_all_looked_at(
    engine: Engine, new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "HOSTS_IN_LANE", 2)
    some = [new_host() for _ in range(5)]
    fill(engine, some, range(18))
    assert states(engine) == [(host.id, MOUNT, "open") for host in some]


def test_two_that_were_rung_at_once_do_it_once(engine: Engine, host: SimulatedHost) -> None:
    fill(engine, [host], range(14))
    before = _points(engine, host)
    measured(engine, host, NOW + 14 * RING - 5, data=56.3, boot=40.0)
    for _ in range(2):
        ring(engine, NOW + 14 * RING)
    assert _points(engine, host) == before + 1


def test_a_lane_that_another_run_holds_is_left_to_it(engine: Engine, host: SimulatedHost) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer: a second one waits")
    fill(engine, [host], range(1))
    measured(engine, host, NOW + 4 * RING - 5, data=30.0)
    with writing(engine) as other:
        filesystems.hold_lane(other, 0, NOW)
        ring(engine, NOW + 4 * RING)
        assert _points(engine, host) == 1


def _forecast_for_ever(database_url: str, began: float) -> None:
    engine = connect(database_url)
    for number in itertools.count(1):
        now = began + 320 * number
        duty.forecast(engine, {}, lambda now=now: now)


def test_kill_9_in_the_middle_of_a_run_loses_nothing_and_doubles_nothing(
    engine: Engine, database_url: str, new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "HOSTS_IN_LANE", 2)
    some = [new_host() for _ in range(6)]
    fill(engine, some, range(15))
    after = _points(engine, some[0]) + 1
    for host in some:
        measured(engine, host, NOW + 15 * RING - 5, data=20 + 30 * RING * 15 / 3600, boot=40.0)
    process = FORK.Process(target=_forecast_for_ever, args=(database_url, NOW + 15 * RING))
    process.start()
    deadline = time.monotonic() + 10
    while not any(_points(engine, host) == after for host in some) and time.monotonic() < deadline:
        pass
    process.kill()
    process.join()
    # Postgres holds the lane until it notices that nobody is there any more.
    now, deadline = NOW + 10_000_000, time.monotonic() + 10
    while any(_points(engine, host) < after for host in some) and time.monotonic() < deadline:
        now += 320
        ring(engine, now)
    assert [_points(engine, host) for host in some] == [after] * len(some)
    assert len({row.host_id for row in disk_events(engine)}) == len(disk_events(engine))


def _points(engine: Engine, host: SimulatedHost) -> int:
    with reading(engine) as connection:
        history = filesystems.history(connection, host.id)
    return 0 if history is None else len(history.at)
