import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from store import metrics
from store.engine import reading, writing
from store.schema import snapshots
from tests.core import packed


@given(
    start=st.floats(0, 2e9),
    length=st.floats(0.001, 1e9),
    points=st.integers(2, 2000),
    interval=st.floats(1, 3600),
)
def test_buckets_cover_the_span_with_few_enough_and_no_finer_than_the_interval(
    start: float, length: float, points: int, interval: float
) -> None:
    end = start + length
    span = metrics.buckets(start, end, points, interval)
    assert span.start <= start < end <= span.end
    assert 1 <= span.count <= points
    assert span.step_seconds >= interval
    assert span.start % span.step_seconds == 0


def test_a_span_on_whole_steps_is_cut_exactly() -> None:
    assert metrics.buckets(3600, 7200, 120, 5.0) == metrics.Buckets(start=3600, step_seconds=30, count=120)


def test_a_moving_span_keeps_the_edges_of_its_buckets() -> None:
    now, later = (metrics.buckets(at - 3600, at, 120, 5.0) for at in (1_800_000_003.7, 1_800_000_013.2))
    assert now.step_seconds == later.step_seconds
    assert (now.start - later.start) % now.step_seconds == 0


@pytest.mark.parametrize(
    ("days", "points", "source", "step_seconds"),
    [
        (0.25, 200, None, 108),
        (0.5, 200, None, 216),
        (1, 200, "rollups_5m", 600),
        (6, 200, "rollups_5m", 2700),
        (7, 200, "rollups_1h", 3600),
        (30, 200, "rollups_1h", 14400),
        (7, 2000, "rollups_5m", 600),
    ],
)
def test_a_chart_reads_the_coarsest_source_that_gives_three_quarters_of_its_points(
    days: float, points: int, source: str | None, step_seconds: int
) -> None:
    span = metrics.buckets(0, days * 86400, points, 30.0)
    assert (span.source, span.step_seconds) == (source, step_seconds)


def test_buckets_hold_what_the_snapshots_come_to(engine: Engine) -> None:
    values = [(t, 50 + 40 * math.sin(t)) for t in range(1_000_000, 1_000_600, 7)]
    with writing(engine) as connection:
        connection.execute(
            insert(snapshots),
            [
                {
                    "host_id": 1,
                    "incarnation": 1,
                    "sequence": t,
                    "received_at": t,
                    "taken_at": t + 0.5,
                    "interval_seconds": 7,
                    "core": packed(cpu_percent=value),
                }
                for t, value in values
            ],
        )
    span = metrics.buckets(1_000_000, 1_000_600, 10, 7)
    with reading(engine) as connection:
        found = metrics.series(connection, 1, ["cpu_percent", "load_1"], span)
    held = [
        [value for t, value in values if start <= t + 0.5 < start + span.step_seconds]
        for start in found["cpu_percent"].t
    ]
    assert sum(map(len, held)) == len(values)
    assert _close(found["cpu_percent"].avg, [sum(bucket) / len(bucket) for bucket in held])
    assert _close(found["cpu_percent"].min, [min(bucket) for bucket in held])
    assert _close(found["cpu_percent"].max, [max(bucket) for bucket in held])
    assert found["load_1"] == metrics.Series()


def _close(found: list[float], expected: list[float]) -> bool:
    return all(math.isclose(one, other, rel_tol=1e-6) for one, other in zip(found, expected, strict=True))
