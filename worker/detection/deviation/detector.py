"""One bucket of many hosts through the detector: what it remembers goes in and comes out. Pure."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.detection.deviation.expectation import Model, Surprise, Values, new_model, observe
from worker.detection.deviation.peers import distance_from_peers
from worker.detection.deviation.score import WEEKEND_AFTER_BUCKETS, YOUNG_BUCKETS, Deviation, Usual, judge, new_usual

_HOST_FIELDS = len(Usual._fields)
_METRIC_FIELDS = len(Model._fields)


class Memory(NamedTuple):
    """What is remembered of H hosts."""

    model: Model
    usual: Usual


class Bucket(NamedTuple):
    """Five minutes of H hosts × M metrics, (H, M) each, NaN for missing."""

    average: Values
    lowest: Values
    highest: Values


class Season(NamedTuple):
    """What is remembered of the slot of the day that a bucket is in, for H hosts × M metrics."""

    day: Values
    """(H, M)"""
    weekend: Values
    """(H, M) the same slot on Saturdays and Sundays; of no meaning on other days."""
    is_weekend: NDArray[np.bool_]
    """(H,)"""


class Detected(NamedTuple):
    """What a bucket says, with what it is made of."""

    deviation: Deviation
    surprise: Surprise
    peers_median: Values
    """(H, M) NaN where there are no peers, or the host needs none."""
    is_seen: NDArray[np.bool_]
    """(H,)"""


def new_memory(hosts: int, metrics: int) -> Memory:
    """Return the memory of hosts of which nothing is known."""
    return Memory(new_model(hosts, metrics), new_usual(hosts))


def detect(
    memory: Memory, season: Season, bucket: Bucket, groups: list[NDArray[np.intp]]
) -> tuple[Memory, Season, Detected]:
    """Return the memory and the season of the bucket's slot after it, and what it says.

    A host's weekends are days like others until it was seen for two weeks; then they have a season of their own, which
    begins with what was learnt of all days. ``groups`` are the places of the hosts of each tag.
    """
    metrics_seen = np.count_nonzero(~np.isnan(bucket.average), axis=1)
    is_young = memory.usual.buckets < YOUNG_BUCKETS
    compared = [group for group in groups if is_young[group].any()]
    from_peers, median = distance_from_peers(bucket.average, compared)
    apart = (season.is_weekend & (memory.usual.buckets >= WEEKEND_AFTER_BUCKETS))[:, None]
    model, after, surprise = observe(memory.model, np.where(apart, season.weekend, season.day), *bucket)
    season = season._replace(day=np.where(apart, season.day, after), weekend=after)
    usual, deviation = judge(memory.usual, surprise, from_peers, metrics_seen)
    return Memory(model, usual), season, Detected(deviation, surprise, median, metrics_seen > 0)


def pack(memory: Memory) -> memoryview:
    """Return the memory as it is stored: of each host its own figures, then those of its metrics."""
    hosts, metrics = memory.model.level.shape
    table = np.empty((hosts, _HOST_FIELDS + _METRIC_FIELDS * metrics), "<f4")
    of_metrics = table[:, _HOST_FIELDS:].reshape(hosts, _METRIC_FIELDS, metrics)
    for place, of_hosts in enumerate(memory.usual):
        table[:, place] = of_hosts
    for place, of_hosts in enumerate(memory.model):
        of_metrics[:, place] = of_hosts
    return table.reshape(-1).view(np.uint8).data


def unpack(blob: bytes | memoryview, hosts: int, metrics: int) -> Memory:
    """Read the memory of so many hosts; of those that it does not have nothing is known."""
    row = _HOST_FIELDS + _METRIC_FIELDS * metrics
    table = grown(np.frombuffer(blob, "<f4").reshape(-1, row), hosts)
    of_metrics = table[:, _HOST_FIELDS:].reshape(hosts, _METRIC_FIELDS, metrics)
    usual = (table[:, place] for place in range(_HOST_FIELDS))
    model = (of_metrics[:, place] for place in range(_METRIC_FIELDS))
    return Memory(Model(*model), Usual(*usual))


def grown(table: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """Return a table with so many rows, new ones 0."""
    if len(table) == rows:
        return table
    whole = np.zeros((rows, table.shape[1]), np.float32)
    whole[: min(rows, len(table))] = table[:rows]
    return whole
