"""What holds for the detector and the life of its events whatever the series are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from worker.detection.deviation.detector import Bucket, Memory, Season, detect, new_memory, pack, unpack
from worker.detection.deviation.expectation import BUCKET_SECONDS, DAY_SLOTS, is_weekend, slot_of
from worker.detection.limits import DEFAULTS
from worker.evaluation import EventChange
from worker.unusual import DEVIATION, Lane, decode, encode, look

DAY = 86400 // BUCKET_SECONDS
METRICS = 7
MOST = 2.0**64
FIRST_DAYS = 3 * DAY

Series = np.ndarray[Any, np.dtype[np.float32]]


class Fed:
    """A lane without peers that is fed bucket by bucket; values are (buckets, hosts, metrics)."""

    def __init__(self, hosts: int, metrics: int) -> None:
        self.names = [str(metric) for metric in range(metrics)]
        self.limits = [DEFAULTS[DEVIATION]] * hosts
        self.memory: Memory = new_memory(hosts, metrics)
        self.season = np.zeros((DAY_SLOTS, hosts, metrics), np.float32)
        self.tracks: dict[int, Any] = {}
        self.step = 0
        self.changes: list[tuple[int, EventChange]] = []

    def feed(self, values: Series) -> "Fed":
        for row in values:
            start_at = float(self.step * BUCKET_SECONDS)
            slot = slot_of(start_at)
            season = Season(self.season[slot], self.season[slot], np.zeros(len(self.limits), bool))
            lane = Lane(self.memory, season, self.tracks, (), self.limits, frozenset())
            looked = look(lane, Bucket(row, row, row), self.names, start_at)
            self.memory, self.season[slot], self.tracks = looked.memory, looked.season.day, looked.tracks
            self.changes += [(self.step, change) for change in looked.changes]
            self.step += 1
        return self

    def restart(self) -> "Fed":
        """Go on with what is stored."""
        hosts, metrics = self.memory.model.level.shape
        self.memory = unpack(pack(self.memory), hosts, metrics)
        self.tracks = decode(encode(self.tracks))
        return self


@pytest.fixture(scope="module")
def series() -> Series:
    """Six days of three hosts whose metrics wander and jump, so that events open and resolve."""
    chance = np.random.default_rng(5)
    values = 50 + chance.normal(0, 2, (6 * DAY, 3, METRICS))
    for begin in range(2 * DAY, 6 * DAY, 150):
        values[begin : begin + 15, begin % 3] += chance.normal(0, 60, METRICS)
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def whole(series: Series) -> Fed:
    fed = Fed(3, METRICS).feed(series)
    assert sum(change.is_new for _, change in fed.changes) >= 6
    return fed


@pytest.mark.parametrize("cut", [DAY, 3 * DAY + 7, 4 * DAY + 155, 6 * DAY - 1])
def test_what_was_said_up_to_a_bucket_does_not_depend_on_what_comes_later(series: Series, whole: Fed, cut: int) -> None:
    assert Fed(3, METRICS).feed(series[:cut]).changes == [told for told in whole.changes if told[0] < cut]


def test_the_same_series_give_the_same_events(series: Series, whole: Fed) -> None:
    assert Fed(3, METRICS).feed(series).changes == whole.changes


def test_a_restart_after_any_bucket_changes_nothing(series: Series, whole: Fed) -> None:
    fed = Fed(3, METRICS)
    for begin in range(0, len(series), 97):
        fed.restart().feed(series[begin : begin + 97])
    assert fed.changes == whole.changes


def test_a_host_is_judged_without_regard_to_those_beside_it(series: Series, whole: Fed) -> None:
    alone = Fed(1, METRICS).feed(series[:, 1:2])
    mine = [(step, change) for step, change in whole.changes if change.host == 1]
    assert [(step, change.state, change.value) for step, change in alone.changes] == [
        (step, change.state, change.value) for step, change in mine
    ]


def test_a_bucket_in_which_nobody_reports_changes_nothing(series: Series) -> None:
    fed = Fed(3, METRICS).feed(series[: 3 * DAY])
    before = pack(fed.memory), encode(fed.tracks), fed.season.copy(), len(fed.changes)
    fed.feed(np.full((DAY, 3, METRICS), np.nan, np.float32))
    assert (pack(fed.memory), encode(fed.tracks), len(fed.changes)) == (before[0], before[1], before[3])
    assert np.array_equal(fed.season, before[2])


@settings(max_examples=8, deadline=None)
@given(
    value=st.floats(-MOST, MOST, width=32),
    gaps=arrays.arrays(np.bool_, (FIRST_DAYS, 1, METRICS)),
)
def test_what_never_moves_is_never_told_whatever_is_missing(value: float, gaps: np.ndarray[Any, Any]) -> None:
    values = np.where(gaps, np.nan, np.float32(value)).astype(np.float32)
    assert Fed(1, METRICS).feed(values).changes == []


@settings(max_examples=15, deadline=None)
@given(
    odd=arrays.arrays(np.float32, (20, 1, METRICS), elements=st.floats(-MOST, MOST, width=32) | st.just(float("nan")))
)
def test_no_value_breaks_what_is_remembered(odd: Series, settled: Fed) -> None:
    fed = Fed(1, METRICS)
    fed.memory, fed.season, fed.step = settled.memory, settled.season.copy(), settled.step
    fed.feed(odd)
    assert all(np.isfinite(part).all() for part in (*fed.memory.model, *fed.memory.usual, fed.season))
    assert all(change.value is not None and np.isfinite(change.value) for _, change in fed.changes)


@pytest.fixture(scope="module")
def settled() -> Fed:
    usual = 50 + np.random.default_rng(7).normal(0, 2, (FIRST_DAYS, 1, METRICS))
    return Fed(1, METRICS).feed(usual.astype(np.float32))


@pytest.mark.parametrize(
    ("days_seen", "on_weekend", "day_learns", "weekend_is"),
    [
        (13, True, True, "what all days have learnt"),
        (15, True, False, "its own"),
        (15, False, True, "of no meaning"),
    ],
)
def test_weekends_have_a_season_of_their_own_once_two_were_seen(
    days_seen: int, on_weekend: bool, day_learns: bool, weekend_is: str
) -> None:
    empty = new_memory(1, METRICS)
    buckets = np.full((1, METRICS), days_seen * DAY, np.float32)
    memory = Memory(empty.model._replace(buckets=buckets), empty.usual._replace(buckets=buckets[:, 0]))
    day, weekend = np.full((1, METRICS), 30, np.float32), np.full((1, METRICS), 5, np.float32)
    seen = np.full((1, METRICS), 8, np.float32)
    _, season, detected = detect(memory, Season(day, weekend, np.array([on_weekend])), Bucket(seen, seen, seen), [])
    assert detected.surprise.expected[0, 0] == (30 if day_learns else 5)
    assert (season.day != day).all() == day_learns
    if weekend_is == "its own":
        assert 5 < season.weekend[0, 0] < 8
    if weekend_is == "what all days have learnt":
        assert np.array_equal(season.weekend, season.day)


def test_the_first_weekend_of_unix_time_was_on_its_third_day() -> None:
    assert [is_weekend(86400.0 * day) for day in range(7)] == [False, False, True, True, False, False, False]
