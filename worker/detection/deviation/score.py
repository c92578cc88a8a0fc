"""How unusual a host is as a whole: one score for each host and bucket, 1 and more is a deviation.

Four kinds, of which the highest counts, each of the six metrics that stand out most:

- *broad*: several metrics are far from their expectations at once. Where that is for one host is told by the geometric
  mean of a limit for all and what is usual for itself: a calm host is heard early, a restless one late.
- *new*: metrics are beyond all that was ever seen of them.
- *drift*: metrics have stayed away from their expectations for hours. What a host was told of raises its limit, and
  the limit takes a month to come back: what happens again and again is told less and less.
- *peers*: in its first two days, while a host has no history of its own, metrics are far from those of its peers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.detection.deviation.expectation import BUCKET_SECONDS, WARM_UP_BUCKETS, Surprise, Values

KINDS = ("broad", "new", "drift", "peers")

_BUCKETS_IN_DAY = 86400 // BUCKET_SECONDS
_METRICS = 6
# One metric of many that is far off, or new, by however much is a story of that metric, not of the host.
_MOST_DISTANCE = 1.6
_BROAD_LIMIT = 0.91
_USUAL_SPREADS = 6.0
# Where nothing ever moves, whatever moves would be far beyond what is usual.
_LEAST_USUAL = 0.2
_NEW_LIMIT = 0.03
_MOST_NOVELTY = 0.05
_DRIFT_LIMIT = 0.65
_PEERS_LIMIT = 1.0
SILENT_BUCKETS = _BUCKETS_IN_DAY
"""Before a host was seen at every time of the day, nothing is said of its own history."""
YOUNG_BUCKETS = 2 * _BUCKETS_IN_DAY
"""For so long a host is compared with its peers, and from then on with its own season."""
WEEKEND_AFTER_BUCKETS = 14 * _BUCKETS_IN_DAY
"""Once a host was seen on two weekends, these have a season of their own."""
_RAISED_TO = 0.9
_RAISED_HALF_LIFE_BUCKETS = 30.0 * _BUCKETS_IN_DAY
_USUAL_BUCKETS = 14.0 * _BUCKETS_IN_DAY
_SETTLED_BUCKETS = 48
_MOST_SPREADS = 4.0


class Usual(NamedTuple):
    """What is usual for H hosts, (H,) each; all zero in the beginning."""

    buckets: Values
    """How many were seen."""
    mean: Values
    """Of the mean distance of the farthest metrics."""
    spread: Values
    """Its mean absolute deviation."""
    raised: Values
    """The drift that the host was told of, as a limit for the next."""


class Deviation(NamedTuple):
    """What a bucket says of H hosts."""

    score: Values
    """(H,)"""
    kind: NDArray[np.intp]
    """(H,) which of ``KINDS`` has the highest score."""
    share: Values
    """(H, M) what each metric adds to that kind."""


def new_usual(hosts: int) -> Usual:
    """Return what is usual for hosts of which nothing is known."""
    return Usual(*(np.zeros(hosts, np.float32) for _ in Usual._fields))


def judge(
    usual: Usual, surprise: Surprise, from_peers: Values, metrics_seen: NDArray[np.int64]
) -> tuple[Usual, Deviation]:
    """Return what is usual after one bucket, and how far that bucket was from it.

    ``from_peers`` is (H, M), see ``peers.distance_from_peers``. ``metrics_seen`` is (H,): a host with few metrics has
    no broad deviation, and no others to make a mean with.
    """
    broad = _sum_of_largest(np.minimum(surprise.distance, _MOST_DISTANCE)) / np.float32(_METRICS)
    those = np.clip(metrics_seen, 1, _METRICS).astype(np.float32)
    new = _sum_of_largest(np.minimum(surprise.novelty, _MOST_NOVELTY)) / those
    drift = _sum_of_largest(surprise.drift) / those
    own = np.maximum(usual.mean + _USUAL_SPREADS * usual.spread, _LEAST_USUAL)
    broad_limit = np.sqrt(_BROAD_LIMIT * own)
    is_young = usual.buckets < YOUNG_BUCKETS
    scores = np.stack(
        (
            np.where(is_young, 0.0, broad / broad_limit),
            np.where(usual.buckets < SILENT_BUCKETS, 0.0, new / _NEW_LIMIT),
            np.where(is_young, 0.0, drift / np.maximum(_DRIFT_LIMIT, usual.raised)),
            np.where(is_young, _sum_of_largest(from_peers) / _METRICS / _PEERS_LIMIT, 0.0),
        )
    )
    kind = scores.argmax(axis=0)
    shares = np.stack((surprise.distance, surprise.novelty, surprise.drift, from_peers))
    deviation = Deviation(scores.max(axis=0), kind, shares[kind, np.arange(len(kind))])
    return _after(usual, broad, drift, metrics_seen > 0), deviation


def _after(usual: Usual, broad: Values, drift: Values, is_seen: NDArray[np.bool_]) -> Usual:
    judged = np.maximum(usual.buckets - WARM_UP_BUCKETS, 0.0)
    weight = np.maximum(1.0 / _USUAL_BUCKETS, 1.0 / (judged + 1.0))
    most = np.where(judged > _SETTLED_BUCKETS, _MOST_SPREADS * usual.spread, np.inf)
    off = broad - usual.mean
    raised = usual.raised * np.float32(0.5 ** (1.0 / _RAISED_HALF_LIFE_BUCKETS))
    after = Usual(
        usual.buckets + 1.0,
        usual.mean + weight * np.minimum(off, most),
        usual.spread + weight * (np.minimum(np.abs(off), most) - usual.spread),
        np.maximum(raised, np.where(drift >= _DRIFT_LIMIT, _RAISED_TO * drift, 0.0)),
    )
    return Usual(*(np.where(is_seen, new, old).astype(np.float32) for new, old in zip(after, usual, strict=True)))


def _sum_of_largest(values: Values) -> Values:
    """Return the sum of each row's six largest values."""
    if values.shape[1] > _METRICS:
        values = np.partition(values, values.shape[1] - _METRICS, axis=1)[:, -_METRICS:]
    total: Values = values.sum(axis=1)
    return total
