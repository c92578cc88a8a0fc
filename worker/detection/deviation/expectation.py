"""What a metric is expected to be, and how far it is from that: O(1) for each metric and bucket.

The expectation is additive Holt-Winters smoothing without a trend (Winters 1960, "Forecasting sales by exponentially
weighted moving averages"): a level that follows the metric within two hours, and a season of one day on top of it,
used once it has been seen twice. A second level, which follows within a day, stands by: who is back where it was before
an incident is not far. How far is far is told by the mean absolute error of the metric's own expectations,
to which one bucket adds no more than a few times what it was: an incident does not hide the next one, and a new level
is usual after a day or two.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

BUCKET_SECONDS = 300
SLOT_SECONDS = 900
"""Of the season: a quarter of an hour is one slot of the day."""
DAY_SLOTS = 86400 // SLOT_SECONDS

_BUCKETS_IN_SLOT = SLOT_SECONDS // BUCKET_SECONDS
_BUCKETS_IN_DAY = 86400 // BUCKET_SECONDS
_LEVEL_WEIGHT = 0.05
_BASE_WEIGHT = 1.0 / _BUCKETS_IN_DAY
_SEASON_DAYS = 4.0
_SEASON_AFTER_BUCKETS = 2 * _BUCKETS_IN_DAY
_ERROR_BUCKETS = 2.0 * _BUCKETS_IN_DAY
_DRIFT_BUCKETS = 48.0
# A metric that hardly moves would find everything far: errors count from a share of the range it has been in.
_LEAST_ERROR_OF_RANGE = 0.01
_MOST_ERROR_GROWTH = 4.0
_MOST_DRIFT_GROWTH = 3.0
_SETTLED_BUCKETS = 48
WARM_UP_BUCKETS = 72
"""Nothing is said of a metric before."""
_TINY = 1e-12
_HOSTS_AT_ONCE = 512


class Model(NamedTuple):
    """What is remembered of H hosts × M metrics, (H, M) each; all zero in the beginning."""

    buckets: Values
    """How many were seen."""
    level: Values
    base: Values
    """A level that follows within a day."""
    error: Values
    """Mean absolute error of the expectation, in the metric's unit."""
    low: Values
    high: Values
    """The range that it was ever in."""
    drift: Values
    """Mean error, with its sign, of four hours."""
    drift_error: Values
    """Mean absolute drift."""


class Surprise(NamedTuple):
    """How far one bucket is from what was expected, (H, M) each.

    The last three are 0 for what was not seen, or for less than six hours so far.
    """

    expected: Values
    seen: Values
    """The lowest or highest value of the bucket: what is farther from ``expected``."""
    distance: Values
    """Of the bucket from ``expected``, or from what the base lets expect where that is nearer, as log10(1 + how many
    usual errors).
    """
    novelty: Values
    """How far ``seen`` is beyond all that was ever seen, as a share of that range."""
    drift: Values
    """Of the model, as log10(1 + how many usual drifts)."""


def new_model(hosts: int, metrics: int) -> Model:
    """Return the model of hosts of which nothing is known."""
    return Model(*(np.zeros((hosts, metrics), np.float32) for _ in Model._fields))


def slot_of(start_at: float) -> int:
    """Return the slot of the day, in UTC, that a bucket is in."""
    return int(start_at % 86400) // SLOT_SECONDS


def is_weekend(start_at: float) -> bool:
    """Tell whether a bucket is on a Saturday or a Sunday, in UTC."""
    # The first day of Unix time was a Thursday.
    return int(start_at // 86400 + 3) % 7 >= 5


def observe(
    model: Model, season: Values, average: Values, lowest: Values, highest: Values
) -> tuple[Model, Values, Surprise]:
    """Return the model and the season of the bucket's slot, (H, M), after one bucket, and how surprising it was.

    ``average``, ``lowest`` and ``highest`` are the bucket's, (H, M); NaN is missing and changes nothing.
    """
    # As many hosts at a time as the processor's cache holds all arrays of.
    parts = [slice(first, first + _HOSTS_AT_ONCE) for first in range(0, max(len(average), 1), _HOSTS_AT_ONCE)]
    models, seasons, surprises = zip(
        *(
            _observe(Model(*(one[part] for one in model)), season[part], average[part], lowest[part], highest[part])
            for part in parts
        ),
        strict=True,
    )
    return Model(*_joined(models)), np.concatenate(seasons), Surprise(*_joined(surprises))


def _joined(parts: Sequence[Sequence[Values]]) -> Iterator[Values]:
    return (np.concatenate(some) for some in zip(*parts, strict=True))


def _observe(
    model: Model, season: Values, average: Values, lowest: Values, highest: Values
) -> tuple[Model, Values, Surprise]:
    is_seen = ~np.isnan(average)
    average, lowest, highest = (np.where(is_seen, values, 0.0) for values in (average, lowest, highest))
    is_first = is_seen & (model.buckets == 0)
    level, base = np.where(is_first, average, model.level), np.where(is_first, average, model.base)
    low, high = np.where(is_first, lowest, model.low), np.where(is_first, highest, model.high)
    extent = high - low
    least_error = _LEAST_ERROR_OF_RANGE * extent + _TINY
    seasonal = np.where(model.buckets < _SEASON_AFTER_BUCKETS, 0.0, season)
    expected, formerly = level + seasonal, base + seasonal
    seen = np.where(highest - expected > expected - lowest, highest, lowest)
    away = np.abs(seen - expected)
    nearest = np.minimum(away, np.maximum(highest - formerly, formerly - lowest))
    miss = average - expected
    drift = model.drift + (miss - model.drift) / _DRIFT_BUCKETS
    drifted = np.abs(drift)
    # What is back where it belongs has no drift, however long the mean remembers one.
    goes_on = np.sign(drift) * miss > model.error
    is_warm = is_seen & (model.buckets >= WARM_UP_BUCKETS)
    surprise = Surprise(
        expected,
        seen,
        np.where(is_warm, np.log10(1.0 + nearest / (model.error + least_error)), 0.0),
        np.where(is_warm, np.maximum(np.maximum(highest - high, low - lowest), 0.0) / (extent + _TINY), 0.0),
        np.where(is_warm & goes_on, np.log10(1.0 + drifted / (model.drift_error + least_error / 2)), 0.0),
    )
    first_weight = 1.0 / (model.buckets + 1.0)
    error_weight = np.maximum(1.0 / _ERROR_BUCKETS, first_weight)
    is_settled = model.buckets > _SETTLED_BUCKETS
    most_away = np.where(is_settled, _MOST_ERROR_GROWTH * model.error + least_error, np.inf)
    most_drifted = np.where(is_settled, _MOST_DRIFT_GROWTH * model.drift_error + least_error, np.inf)
    after = Model(
        model.buckets + 1.0,
        level + np.maximum(_LEVEL_WEIGHT, first_weight) * miss,
        base + np.maximum(_BASE_WEIGHT, first_weight) * (average - formerly),
        model.error + error_weight * (np.minimum(away, most_away) - model.error),
        np.minimum(low, lowest),
        np.maximum(high, highest),
        drift,
        model.drift_error + error_weight * (np.minimum(drifted, most_drifted) - model.drift_error),
    )
    kept = Model(*(np.where(is_seen, new, old).astype(np.float32) for new, old in zip(after, model, strict=True)))
    season_miss = average - level - season
    after_season = np.where(is_seen, season + _season_weight(model.buckets) * season_miss, season).astype(np.float32)
    return kept, after_season, surprise


def _season_weight(buckets: Values) -> Values:
    """Return what a value counts in its slot: the mean of the first days, then the last ones more than those before."""
    values_in_slot = np.floor(buckets / _BUCKETS_IN_DAY) * _BUCKETS_IN_SLOT
    return np.maximum(1.0 / (_SEASON_DAYS * _BUCKETS_IN_SLOT), 1.0 / (values_in_slot + 1.0)).astype(np.float32)
