"""Charts from roll-ups and raw snapshots together, held against the snapshots that were ever taken."""

import itertools
import math
import random
from collections import defaultdict

import numpy as np
import pytest
from sqlalchemy import Engine

from store import metrics, rollups
from store.aggregates import FIVE_MINUTES, HOUR, coarser, of_snapshots
from store.engine import reading, writing
from store.metrics import Series
from store.snapshots import SnapshotRows, insert_snapshots
from wire.metrics import INDEX, NAMES

HOST, OTHER = 7, 8
NOW = 1_800_000_000
"""On a whole hour."""
CPU, SWAP = "cpu_percent", "swap_percent"
SPANS = {"an hour": HOUR, "a day": 86400, "a week": 7 * 86400, "a month": 30 * 86400}

Taken = list[tuple[float, float, float]]


def taken(start: float, end: float, every: float) -> Taken:
    """Snapshots by chance: when, CPU, and swap, which not all of them have."""
    chance = random.Random(1)
    moments = itertools.takewhile(lambda at: at < end, itertools.count(start, every))
    return [(at, chance.uniform(0, 100), chance.choice([math.nan, chance.uniform(0, 50)])) for at in moments]


def rows(host_id: int, held: Taken) -> SnapshotRows:
    count = len(held)
    core = np.full((count, len(NAMES)), np.nan, np.float32)
    core[:, INDEX[CPU]] = [row[1] for row in held]
    core[:, INDEX[SWAP]] = [row[2] for row in held]
    taken_at = np.array([row[0] for row in held], np.float64)
    sequence = np.arange(1, count + 1)
    interval = np.full(count, 30, np.float32)
    return SnapshotRows(
        np.full(count, host_id), np.ones(count, np.int64), sequence, NOW + 2000, taken_at, interval, core
    )


def keep(engine: Engine, held: Taken, raw_from: float, fives_until: float, hours_until: float) -> None:
    """Store what workers would have by now: raw snapshots from then on, and roll-ups up to there."""
    with writing(engine) as connection:
        for host_id in (HOST, OTHER):
            insert_snapshots(connection, rows(host_id, [row for row in held if row[0] >= raw_from]))
            rolled = rows(host_id, [row for row in held if row[0] < fives_until])
            fine = of_snapshots(rolled.host_id, np.floor(rolled.taken_at / FIVE_MINUTES) * FIVE_MINUTES, rolled.core)
            rollups.add(connection, "rollups_5m", fine)
            rollups.add(connection, "rollups_1h", coarser([fine.where(fine.start_at < hours_until)], HOUR))


def expected(held: Taken, span: metrics.Buckets, column: int) -> Series:
    by_bucket: dict[int, list[float]] = defaultdict(list)
    for row in held:
        if span.start <= row[0] < span.end and not math.isnan(row[column]):
            by_bucket[int(row[0] // span.step_seconds * span.step_seconds)].append(row[column])
    of_each = [by_bucket[start] for start in sorted(by_bucket)]
    return Series(
        sorted(by_bucket), [math.fsum(one) / len(one) for one in of_each], [*map(min, of_each)], [*map(max, of_each)]
    )


def assert_shows(engine: Engine, held: Taken, span: metrics.Buckets) -> None:
    with reading(engine) as connection:
        found = metrics.series(connection, HOST, [CPU, SWAP], span)
    for name, column in ((CPU, 1), (SWAP, 2)):
        wanted = expected(held, span, column)
        assert found[name].t == wanted.t
        for kind in ("avg", "min", "max"):
            assert getattr(found[name], kind) == pytest.approx(getattr(wanted, kind), rel=1e-6), (name, kind)


@pytest.mark.parametrize("length", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("lag", [30, 7 * FIVE_MINUTES, 5 * HOUR], ids="lag of {} s".format)
def test_a_chart_shows_all_that_was_taken_whatever_is_rolled_up_and_whatever_raw_is_gone(
    engine: Engine, length: int, lag: int
) -> None:
    now = NOW + 1234
    held = taken(now - length - 2 * HOUR, now, max(30, length / 2000))
    rolled = now - lag
    raw_from = now - 12 * HOUR
    keep(engine, held, raw_from, rolled // FIVE_MINUTES * FIVE_MINUTES, rolled // HOUR * HOUR)
    for points in (7, 120):
        span = metrics.buckets(now - length, now, points, 30, raw_from, now - 10 * 86400)
        assert span.count <= points
        assert_shows(engine, held, span)


def test_snapshots_of_the_roll_ups_time_count_once(engine: Engine) -> None:
    held = taken(NOW - 6 * HOUR, NOW, 60)
    keep(engine, held, NOW - 6 * HOUR, NOW - HOUR, NOW - 2 * HOUR)
    for source in (None, "rollups_5m", "rollups_1h"):
        assert_shows(engine, held, metrics.Buckets(NOW - 6 * HOUR, HOUR, 6, source))


def test_a_peak_is_seen_in_the_coarsest_chart(engine: Engine) -> None:
    held = [(NOW - 20 * 86400 + 600 * number, 10.0, math.nan) for number in range(20 * 144)]
    held[1234] = (held[1234][0], 99.0, math.nan)
    keep(engine, held, NOW - HOUR, NOW - HOUR, NOW - 2 * HOUR)
    with reading(engine) as connection:
        span = metrics.buckets(NOW - 30 * 86400, NOW, 2, 30, NOW - 2 * 86400)
        found = metrics.series(connection, HOST, [CPU], span)[CPU]
    assert max(found.max) == 99
    assert max(found.avg) < 11


def test_a_host_without_roll_ups_is_shown_from_its_snapshots(engine: Engine) -> None:
    held = taken(NOW - 6 * HOUR, NOW, 60)
    keep(engine, held, NOW - 6 * HOUR, 0, 0)
    assert_shows(engine, held, metrics.buckets(NOW - 30 * 86400, NOW, 120, 30, NOW - 2 * 86400))


@pytest.mark.parametrize(
    ("length", "points", "interval", "source", "step"),
    [
        (HOUR, 120, 30, None, 30),
        (6 * HOUR, 120, 30, None, 180),
        (6 * HOUR, 120, 5, None, 180),
        (6 * HOUR, 50, 30, None, 441),
        (6 * HOUR, 50, 5, "rollups_5m", 600),
        (86400, 120, 30, "rollups_5m", 900),
        (3 * 86400, 60, 30, "rollups_5m", 4500),
        (7 * 86400, 120, 30, "rollups_1h", 7200),
        (7 * 86400, 2000, 30, "rollups_5m", 600),
        (30 * 86400, 120, 30, "rollups_1h", 25200),
    ],
)
def test_the_source_is_the_finest_that_is_quick_to_read(
    length: int, points: int, interval: int, source: str | None, step: int
) -> None:
    span = metrics.buckets(NOW - length, NOW, points, interval, NOW - 7 * 86400, NOW - 40 * 86400)
    assert (span.source, span.step_seconds) == (source, step)


@pytest.mark.parametrize(
    ("days_ago", "source", "step"), [(1, None, 30), (3, "rollups_5m", 300), (50, "rollups_1h", 3600)]
)
def test_a_source_that_no_longer_has_the_whole_span_is_not_used(days_ago: int, source: str | None, step: int) -> None:
    start = NOW - days_ago * 86400
    span = metrics.buckets(start, start + HOUR, 120, 30, NOW - 2 * 86400, NOW - 30 * 86400)
    assert (span.source, span.step_seconds) == (source, step)
