import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import aggregates
from store.aggregates import FIVE_MINUTES, HOUR, Aggregates, Stored

Snapshot = tuple[int, float, list[float]]
METRICS = 3

values = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6, width=32))
snapshots = st.tuples(st.integers(1, 3), st.floats(0, 4 * HOUR), st.lists(values, min_size=METRICS, max_size=METRICS))


def of(rows: list[Snapshot], seconds: int = FIVE_MINUTES) -> Aggregates:
    host_id = np.array([row[0] for row in rows], np.int64)
    taken_at = np.array([row[1] for row in rows], np.float64)
    core = np.array([row[2] for row in rows], np.float32).reshape(len(rows), METRICS)
    return aggregates.of_snapshots(host_id, aggregates.bucket_starts(taken_at, seconds), core)


def stored(held: Aggregates) -> list[Stored]:
    packed, is_partial = aggregates.pack(held)
    return [
        Stored(
            int(held.host_id[place]),
            float(held.start_at[place]),
            int(held.snapshots[place]),
            held.count[place].astype("<i4").tobytes() if is_partial[place] else None,
            packed[place].tobytes(),
        )
        for place in range(len(held))
    ]


def assert_close(one: Aggregates, other: Aggregates) -> None:
    for name in ("host_id", "start_at", "snapshots", "count", "least", "most"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    # Averages of values of both signs lose in the sum what the largest of them cannot hold.
    np.testing.assert_allclose(one.average(), other.average(), rtol=1e-6, atol=1e-6 * 1e6)


@given(st.lists(snapshots, min_size=1, max_size=40))
def test_they_are_what_one_would_count_by_hand(rows: list[Snapshot]) -> None:
    found = of(rows)
    by_bucket: dict[tuple[int, float], list[list[float]]] = {}
    for host, taken_at, row in rows:
        by_bucket.setdefault((host, taken_at // FIVE_MINUTES * FIVE_MINUTES), []).append(row)
    assert list(zip(found.host_id.tolist(), found.start_at.tolist(), strict=True)) == sorted(by_bucket)
    for place, key in enumerate(sorted(by_bucket)):
        assert found.snapshots[place] == len(by_bucket[key])
        for metric in range(METRICS):
            held = [row[metric] for row in by_bucket[key] if not math.isnan(row[metric])]
            assert found.count[place, metric] == len(held)
            if held:
                assert found.average()[place, metric] == pytest.approx(math.fsum(held) / len(held), rel=1e-6)
                assert (found.least[place, metric], found.most[place, metric]) == (min(held), max(held))
            else:
                assert np.isnan([found.average()[place, metric], found.least[place, metric]]).all()


@given(st.lists(snapshots, min_size=1, max_size=40), st.lists(st.integers(1, 39), max_size=5))
def test_those_of_parts_add_up_to_those_of_the_whole(rows: list[Snapshot], cuts: list[int]) -> None:
    edges = sorted({0, *(cut for cut in cuts if cut < len(rows)), len(rows)})
    parts = [of(rows[first:last]) for first, last in pairwise(edges)]
    assert_close(aggregates.merged(parts), of(rows))


@given(st.lists(snapshots, min_size=1, max_size=40))
def test_hours_made_of_stored_five_minutes_are_those_of_the_snapshots(rows: list[Snapshot]) -> None:
    fine = aggregates.unpack(stored(of(rows)), METRICS)
    assert_close(aggregates.coarser([fine], HOUR), of(rows, HOUR))


def test_an_average_of_averages_is_weighted_by_how_many_values_are_behind_each() -> None:
    nothing = math.nan
    rows: list[Snapshot] = [(1, 0.0, [10.0, 1.0, nothing]), (1, 1.0, [nothing, 3.0, nothing])]
    rows += [(1, 300.0 + second, [40.0, 5.0, nothing]) for second in range(3)]
    hour = aggregates.coarser([aggregates.unpack(stored(of(rows)), METRICS)], HOUR)
    assert hour.snapshots.tolist() == [5]
    assert hour.average()[0, :2].tolist() == [32.5, pytest.approx(3.8)]
    assert np.isnan(hour.average()[0, 2])


def test_counts_are_stored_only_where_a_metric_is_in_some_snapshots_and_not_in_others() -> None:
    nothing = math.nan
    whole, partial = (
        of([(1, 0, [1, 2, nothing]), (1, 1, [1, 2, nothing])]),
        of([(1, 0, [1, 2, 3]), (1, 1, [1, 2, nothing])]),
    )
    assert [row.counts is None for row in stored(whole) + stored(partial)] == [True, False]


@pytest.mark.parametrize("metrics", [2, 5])
def test_rows_of_an_older_or_a_newer_catalogue_are_read_as_far_as_both_go(metrics: int) -> None:
    rows = [*stored(of([(1, 0, [1, 2, 3])])), *stored(of([(2, 0, [1, 2, 3]), (2, 1, [math.nan, 2, 3])]))]
    read = aggregates.unpack(rows, metrics)
    shared = min(metrics, METRICS)
    assert read.most[:, :shared].tolist() == [[1.0, 2.0, 3.0][:shared]] * 2
    assert read.count[:, :shared].tolist() == [[1, 1, 1][:shared], [1, 2, 2][:shared]]
    assert (read.count[:, shared:] == 0).all()
    assert np.isnan(read.least[:, shared:]).all()
