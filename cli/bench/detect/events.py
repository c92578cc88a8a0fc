"""The series, bucket by bucket, through the duty's own detector and life of events.

A lane holds all series with the same number of metrics, each with its own time of day and counted from its own first
bucket, so that all are stepped at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cli.bench.detect.dataset import Series
from worker.detection.deviation.detector import Bucket, Season, new_memory
from worker.detection.deviation.expectation import BUCKET_SECONDS, DAY_SLOTS, Values, is_weekend, slot_of
from worker.detection.limits import Limit
from worker.evaluation import EventChange
from worker.events import Track
from worker.unusual import Lane, follow, look

# Of all steps of a lane, after which it tells how far it is.
_TELL_EVERY = 0.1
_LEADING = 3


class Opening(NamedTuple):
    """An event that opened."""

    sample: int
    """The first after the bucket that opened it, counted as the series does: below 0 in a host's past."""
    score: float
    bucket: int
    """The bucket that opened it, of those that the series has."""


@dataclass(frozen=True)
class Told:
    """What was said of one series."""

    series: Series
    score: NDArray[np.float32]
    """Of each bucket."""
    leading: NDArray[np.intp]
    """Of each bucket, the metrics that stand out, the most first: (buckets, 3 or fewer)."""
    openings: tuple[list[Opening], ...]
    """Of each limit."""


@dataclass(frozen=True)
class _Lane:
    series: list[Series]
    place_of: list[NDArray[np.intp]]
    """Of each series, the step that each of its buckets is in."""
    steps: NDArray[np.int64]
    """In buckets since the first."""


def tell(series: Sequence[Series], limits: Sequence[Limit], say: Callable[[str], None]) -> list[Told]:
    """Return what each limit makes of each series, in the order given. The memory is the same for all limits."""
    told: dict[str, Told] = {}
    by_metrics = sorted(series, key=_metrics)
    for metrics, some in groupby(by_metrics, _metrics):
        lane = _lane(list(some))
        say(f"{len(lane.series)} series of {metrics} metrics, {len(lane.steps):,} buckets")
        told |= {one.series.name: one for one in _stepped(lane, limits, say)}
    return [told[one.name] for one in series]


def _metrics(series: Series) -> int:
    return int(series.values.shape[1])


def _lane(series: list[Series]) -> _Lane:
    since = [one.buckets.number - one.buckets.number[0] for one in series]
    # A bucket in which nobody reports changes nothing.
    steps = np.unique(np.concatenate(since))
    return _Lane(series, [np.searchsorted(steps, mine) for mine in since], steps)


def _stepped(lane: _Lane, limits: Sequence[Limit], say: Callable[[str], None]) -> Iterator[Told]:
    hosts, metrics = len(lane.series), _metrics(lane.series[0])
    names = [str(metric) for metric in range(metrics)]
    bucket_at, slot_at, weekend_at = _aligned(lane)
    places = np.arange(hosts)
    every = [[limit] * hosts for limit in limits]
    season = np.zeros((2, DAY_SLOTS, hosts, metrics), np.float32)
    memory = new_memory(hosts, metrics)
    tracks: list[dict[int, list[Track]]] = [{} for _ in limits]
    score = np.zeros((len(lane.steps), hosts), np.float32)
    leading = np.zeros((len(lane.steps), hosts, min(metrics, _LEADING)), np.intp)
    opened: list[list[tuple[int, EventChange]]] = [[] for _ in limits]
    tell_after = max(1, round(len(lane.steps) * _TELL_EVERY))
    for step, number in enumerate(lane.steps.tolist()):
        if step and step % tell_after == 0:
            say(f"  {100 * step / len(lane.steps):.0f} %")
        slot = slot_at[step]
        of_slot = Season(season[0, slot, places], season[1, slot, places], weekend_at[step])
        known = Lane(memory, of_slot, tracks[0], (), every[0], frozenset())
        start_at = float(number * BUCKET_SECONDS)
        looked = look(known, Bucket(*bucket_at[:, step]), names, start_at)
        for which, of_hosts in enumerate(every):
            if which == 0:
                tracks[0], changes = looked.tracks, looked.changes
            else:
                other = replace(known, tracks=tracks[which], limits=of_hosts)
                tracks[which], changes = follow(other, looked.detected, names, start_at + BUCKET_SECONDS)
            opened[which] += [(step, change) for change in changes if change.is_new or change.reopens]
        deviation = looked.detected.deviation
        memory, score[step] = looked.memory, deviation.score
        season[0, slot, places] = looked.season.day
        season[1, slot, places] = np.where(weekend_at[step][:, None], looked.season.weekend, season[1, slot, places])
        leading[step] = np.argsort(-deviation.share, axis=1)[:, :_LEADING]
    for host, one in enumerate(lane.series):
        mine = lane.place_of[host]
        yield Told(
            one,
            score[mine, host],
            leading[mine, host],
            tuple(_openings(one, host, mine, of_limit) for of_limit in opened),
        )


def _aligned(lane: _Lane) -> tuple[Values, NDArray[np.intp], NDArray[np.bool_]]:
    """Return average, lowest and highest of each step, host and metric, NaN for nothing; the hosts' slots; weekends."""
    shape = (len(lane.steps), len(lane.series))
    bucket_at = np.full((3, *shape, _metrics(lane.series[0])), np.nan, np.float32)
    slot_at, weekend_at = np.zeros(shape, np.intp), np.zeros(shape, np.bool_)
    for host, (one, mine) in enumerate(zip(lane.series, lane.place_of, strict=True)):
        bucket_at[:, mine, host] = one.buckets.values
        starts = [number * BUCKET_SECONDS for number in one.buckets.number.tolist()]
        slot_at[mine, host] = [slot_of(start) for start in starts]
        # Hosts' samples have no dates.
        weekend_at[mine, host] = [not one.is_host and is_weekend(start) for start in starts]
    return bucket_at, slot_at, weekend_at


def _openings(
    series: Series, host: int, mine: NDArray[np.intp], opened: list[tuple[int, EventChange]]
) -> list[Opening]:
    """Return a series' openings. What the last bucket opens comes after all samples: it is left out."""
    openings = []
    for step, change in opened:
        if change.host != host:
            continue
        bucket = int(np.searchsorted(mine, step))
        told_at = int(series.buckets.told_at[bucket])
        if told_at < len(series.values):
            openings.append(Opening(told_at - series.past, change.value or 0.0, bucket))
    return openings
