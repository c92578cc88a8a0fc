"""Previews: what a replay opens is what drains opened."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from store import readings, rollups
from store.aggregates import FIVE_MINUTES, HOUR, bucket_starts, of_snapshots
from store.engine import reading, writing
from store.hosts import identify
from store.policies import Governing, Target
from store.policy_types import Settings
from store.readings import Spans
from store.schema import events, host_state
from store.settings import Retention
from tests.worker.conftest import NOW, SimulatedHost
from tests.worker.snapshots import batch, filesystem, seen
from tests.worker.test_policies import policy, save
from wire import keys
from wire.metrics import INDEX, NAMES
from wire.preview import Preview
from wire.snapshot import Details
from worker import preview as previews
from worker.detection.rule import HostRule
from worker.detection.rules import RULES
from worker.evaluation import evaluate
from worker.inbox import Inbox
from worker.ingest import drain
from worker.policies import batch_limits
from worker.preview import preview
from worker.replay import Past, replay

NewHost = Callable[[], SimulatedHost]
KEEP = Retention(raw_seconds=48 * 3600, five_minutes_seconds=30 * 86400, hour_seconds=400 * 86400)
DAY = NOW // 86400 * 86400


def previewed(engine: Engine, proposed: Governing, hours: float = 1.0, now: float = NOW + 1) -> Preview:
    with reading(engine) as connection:
        return preview(connection, proposed, hours * 3600, KEEP, now)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([10.0, 50.0, 62.0, 66.0, 72.0, 90.0, float("nan")]), max_size=40),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([0, 30, 45, 200]),
    st.sampled_from(["cpu_high", "cpu_spike"]),
)
def test_a_replay_opens_what_the_rules_open_snapshot_by_snapshot(
    hosts: list[list[float]], opens_after: float, event_type: str
) -> None:
    given = [
        policy("fleet", event_type, limit=65, opens_after_seconds=opens_after),
        policy("host 2", event_type, limit=80),
    ]
    limits = batch_limits(given, list(range(1, len(hosts) + 1)), ())
    rows = batch(*([seen(NOW + 30 * step, cpu_percent=value) for step, value in enumerate(host)] for host in hosts))
    if not len(rows.host):
        return
    expected = [
        (change.host, change.opened_at, change.resolved_at)
        for change in evaluate(rows, {}, lambda _: Details(), limits).changes
        if change.type == event_type
    ]
    rule = next(rule for rule in RULES if rule.type == event_type)
    assert isinstance(rule, HostRule)
    past = Past(rows.host, rows.taken_at, rows.metric("cpu_percent"))
    assert sorted(map(tuple, replay(rule, past, limits))) == sorted(expected)


@pytest.mark.parametrize("event_type", ["cpu_high", "cpu_spike"])
def test_the_preview_of_what_holds_is_what_the_drains_opened(
    engine: Engine, inbox: Inbox, new_host: NewHost, event_type: str
) -> None:
    random = np.random.default_rng(7)
    hosts = [new_host() for _ in range(4)]
    save(engine, Target("host", "", hosts[1].id, event_type, ""), Settings(limit=60))
    for step in range(100):
        for host in hosts:
            host.report(NOW - 3000 + 30 * step, cpu_percent=float(random.choice([20, 55, 70, 86, 95])))
        if step % 7 == 6:
            drain(engine, inbox, range(keys.SHARDS), 4000, lambda now=NOW - 3000 + 30 * step: now, {})
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: NOW, {})
    found = previewed(engine, policy("fleet", event_type, limit=65))
    assert found.resolution_seconds == 0
    assert found.recorded.events >= len(hosts)
    assert found.present == found.recorded
    assert found.proposed is not None
    assert found.proposed != found.recorded
    assert {one.name for one in found.by_host} <= {name_of(engine, host) for host in hosts}
    save(engine, Target("fleet", "", None, event_type, ""), Settings(limit=65))
    assert previewed(engine, policy("fleet", event_type, limit=65)).present == found.proposed


def name_of(engine: Engine, host: SimulatedHost) -> str:
    with reading(engine) as connection:
        found = identify(connection, str(host.id))
    assert found is not None
    return found.name


def fill(engine: Engine, host_ids: Sequence[int], values: np.ndarray, at: np.ndarray) -> None:
    """Roll up one CPU value every 30 seconds, the same times for each host."""
    core = np.full((len(host_ids) * len(at), len(NAMES)), np.nan, np.float32)
    core[:, INDEX["cpu_percent"]] = values.ravel()
    host_id, times = np.repeat(np.array(host_ids), len(at)), np.tile(at, len(host_ids))
    with writing(engine) as connection:
        for table, seconds in rollups.SECONDS.items():
            rollups.insert(connection, table, of_snapshots(host_id, bucket_starts(times, seconds), core))
        # Fast enough that no preview counts on the snapshots.
        connection.execute(update(host_state).values(interval_seconds=0.1))


def test_a_week_is_replayed_at_five_minutes(engine: Engine, new_host: NewHost) -> None:
    quiet, busy, peaks = new_host().id, new_host().id, new_host().id
    at = np.arange(DAY, DAY + 6 * HOUR, 30.0)
    values = np.full((3, len(at)), 20.0)
    hour = (at - DAY) / HOUR
    values[1, (hour >= 1.5) & (hour < 4.25)] = 75.0
    # Above the limit, but not for so long that the average of five minutes is.
    values[2, ::20] = 99.0
    fill(engine, [quiet, busy, peaks], values, at)
    found = previewed(engine, policy("fleet", "cpu_high", limit=70), hours=72, now=DAY + 6 * HOUR)
    assert found.resolution_seconds == FIVE_MINUTES
    assert "five minutes" in found.notes[0]
    assert (found.present and found.present.events, found.proposed and found.proposed.events) == (0, 1)
    [one] = found.by_host
    assert (one.id, one.proposed.events) == (busy, 1)
    assert one.proposed.open_seconds == 2.75 * HOUR


def test_of_more_history_than_may_be_the_last_is_replayed(
    engine: Engine, new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "MOST_HOURS", 4)
    host_ids = [new_host().id, new_host().id]
    at = np.arange(DAY, DAY + 6 * HOUR, 30.0)
    fill(engine, host_ids, np.full((2, len(at)), 75.0), at)
    found = previewed(engine, policy("fleet", "cpu_high", limit=70), hours=72, now=DAY + 6 * HOUR)
    assert (found.start, found.proposed and found.proposed.open_seconds) == (DAY + 4 * HOUR, 2 * (2 * HOUR - 30))
    assert "the last 2 hours" in found.notes[1]


@pytest.mark.parametrize("limit", [30, 60, 97])
def test_hours_that_need_not_be_read_change_nothing(engine: Engine, new_host: NewHost, limit: float) -> None:
    random = np.random.default_rng(3)
    host_ids = [new_host().id for _ in range(3)]
    at = np.arange(DAY, DAY + 12 * HOUR, 30.0)
    levels = random.choice([5.0, 50.0, 58.0, 98.0], (3, 24)).repeat(len(at) // 24, axis=1)
    fill(engine, host_ids, levels + random.random(levels.shape), at)
    proposed = policy("fleet", "cpu_high", limit=limit)
    found = previewed(engine, proposed, hours=72, now=DAY + 12 * HOUR)
    with reading(engine) as connection:
        spans = Spans(np.array(host_ids), np.full(3, DAY), np.full(3, DAY + 12 * HOUR))
        fives = readings.of_rollups(connection, "rollups_5m", "cpu_percent", spans, extremes=False)
    assert len(fives.at) == 3 * 144
    place = np.searchsorted(host_ids, fives.host_id).repeat(3)
    times = np.stack((fives.at, fives.at + 30, fives.at + 270), axis=1).ravel()
    rule = next(rule for rule in RULES if isinstance(rule, HostRule) and rule.type == "cpu_high")
    openings = replay(rule, Past(place, times, fives.average.repeat(3)), batch_limits([proposed], host_ids, ()))
    assert found.proposed is not None
    assert found.proposed.events == len(openings) > 0


@pytest.mark.parametrize(
    ("event_type", "subject"),
    [("disk_full", "/srv"), ("process_memory_high", "java"), ("service_down", ""), ("host_down", "")],
)
def test_what_the_history_cannot_tell_is_said_and_the_events_that_there_were_are_counted(
    engine: Engine, inbox: Inbox, host: SimulatedHost, event_type: str, subject: str
) -> None:
    found = previewed(engine, policy("fleet", event_type, subject, enabled=True))
    assert (found.proposed, found.present, found.resolution_seconds) == (None, None, None)
    assert (found.hosts, found.recorded.events) == (1, 0)
    assert f"history of {event_type} cannot be replayed" in found.notes[0]


def test_of_filesystems_the_fullest_is_replayed(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    for step in range(4):
        details = Details(filesystems=(filesystem("/", 40), filesystem("/srv", 70)))
        host.push(host.snapshot(NOW - 90 + 30 * step, details, disk_percent=70))
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: NOW, {})
    found = previewed(engine, policy("fleet", "disk_full", limit=60))
    assert (found.proposed and found.proposed.events, found.present and found.present.events) == (1, 0)
    assert "the fullest filesystem was replayed" in found.notes[-1]


def test_a_policy_that_is_switched_off_opens_nothing(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    for step in range(4):
        host.report(NOW - 90 + 30 * step, cpu_percent=90)
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: NOW, {})
    found = previewed(engine, policy(f"host {host.id}", "cpu_high", enabled=False))
    assert (found.proposed and found.proposed.events, found.present and found.present.events) == (0, 1)
    with reading(engine) as connection:
        assert connection.scalar(select(events.c.type)) == "cpu_high"


def test_a_policy_of_no_host_says_so(engine: Engine) -> None:
    found = previewed(engine, policy("tag nobody", "cpu_high", limit=50))
    assert (found.hosts, found.notes) == (0, ("No host is in the scope of this policy.",))
