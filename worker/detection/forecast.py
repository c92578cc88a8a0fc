"""When a filesystem will be full, from its history: a robust trend, and how sure it is.

The trend of a window is the median of the slopes between its parts (Theil 1950, Sen 1968). Its error is that of a
random walk with drift (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, 5.2 and 5.5):
with s the spread of the steps about the trend in an hour, a trend that was seen for T hours and is extended by h is off
by s·√(1/T + 1/h). So a one-off copy, which is all in one step, widens the interval more than it raises the trend. Of
the windows up to now, half an hour to some days long, the one counts that is surest of being full soon.

What is no trend:
- what climbed by less than half of what is left (a trend is extended by twice its length and no more);
- what is uneven or has stopped: all steps but one, and the last one, must be at half the rate of the whole;
- what comes down by itself: a filesystem that fell twice is judged by the peaks that it fell from, until it is well
  above them. After one fall alone it is judged by what came since.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL_PERCENT = 99.5
"""From here on there is nothing left to forecast."""
_WINDOWS_HOURS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_PARTS = 6
_FIRST, _SECOND = np.triu_indices(_PARTS, 1)
_LEAST_PARTS = 5
# Of a window's length that there must be readings of: the readings are some minutes apart.
_COVERED = 0.75
_MOST_EXTENSION = 2.0
# Two-sided 80 % of Student's t with the four steps between five parts.
_QUANTILE = 1.53
# A trend is looked for every few minutes, in many windows: so sure is one of 500.
_SURE_QUANTILE = 6.0
_STEADY_SHARE = 0.5
_MOST_UNSTEADY = 1
_LEAST_FALL_PERCENT = 0.5
_FALL_SHARE = 0.1
_FALL_NOISES = 6.0
_FALLS_OF_A_SAWTOOTH = 2
_ABOVE_THE_PEAKS = 1.0
# What a series climbed from its least to its last reading is less than its trend where its readings scatter.
_CLIMB_SHARE = 0.7
# Of that: enough to be read more often than the others.
_STIRRING_SHARE = 0.25


@dataclass(frozen=True)
class Forecast:
    """Of each series. Where there is no trend, the rate is NaN and the hours are infinite."""

    percent_per_hour: Floats
    hours: Floats
    """Until it is full, counted from its last reading."""
    low_hours: Floats
    """The early end of the 80 % interval."""
    high_hours: Floats
    """Its late end; infinite where it may as well never be full."""
    since: Floats
    """Since when the trend holds, in the time of the readings."""


def may_fill(latest: Floats, least: Floats) -> NDArray[np.bool_]:
    """Tell of which series a forecast can have a trend, given their last reading and the least of all, in percent.

    The others, nearly all in a healthy fleet, need not be forecast.
    """
    return latest - least >= _CLIMB_SHARE * (100.0 - latest) / _MOST_EXTENSION


def is_stirring(latest: Floats, least: Floats) -> NDArray[np.bool_]:
    """Tell which series are on the way to that, and are worth more frequent readings."""
    return latest - least >= _STIRRING_SHARE * _CLIMB_SHARE * (100.0 - latest) / _MOST_EXTENSION


def forecast(at: Floats, percent: Floats) -> Forecast:
    """Forecast series (rows) of readings in the order of their times, in Unix seconds; NaN for missing.

    The last column is the last reading of each.
    """
    now = at[:, -1:]
    hours = (at - now) / 3600.0
    falls = _falls(hours, percent)
    typical = _median(falls.peaks - falls.troughs)
    with np.errstate(invalid="ignore"):
        is_sawtooth = (falls.count >= _FALLS_OF_A_SAWTOOTH) & (
            percent[:, -1] < np.nanmax(falls.peaks, axis=1, initial=-math.inf) + _ABOVE_THE_PEAKS * typical
        )
        is_judged = ~is_sawtooth[:, None] & (hours >= falls.run_from[:, None])
    of_run = np.where(is_judged, percent, np.nan)
    of_peaks = np.where(falls.count[:, None] >= _FALLS_OF_A_SAWTOOTH, _with_last(falls.peaks, percent), np.nan)
    found = _no_trend(len(at))
    for window in _WINDOWS_HOURS:
        found = _surer(found, _of_window(hours, of_run, window))
        found = _surer(found, _of_window(hours, of_peaks, window))
    return Forecast(
        found.percent_per_hour, found.hours, found.low_hours, found.high_hours, now[:, 0] + 3600.0 * found.since
    )


@dataclass(frozen=True)
class _Falls:
    """Where series came down: a peak and the trough after it, each in its own column, NaN elsewhere."""

    peaks: Floats
    troughs: Floats
    """In the column of its peak."""
    count: NDArray[np.int64]
    run_from: Floats
    """The hour from which on a series has not fallen."""


def _falls(hours: Floats, percent: Floats) -> _Falls:
    """Follow the series from turn to turn, a turn being one by more than the least fall."""
    series, columns = percent.shape
    rows = np.arange(series)
    peaks, troughs = np.full(percent.shape, np.nan), np.full(percent.shape, np.nan)
    count = np.zeros(series, np.int64)
    is_falling = np.zeros(series, bool)
    peak, trough = np.full(series, -math.inf), np.full(series, math.inf)
    peak_column, run_from = np.zeros(series, np.int64), np.full(series, -math.inf)
    smallest = np.maximum(_LEAST_FALL_PERCENT, _FALL_NOISES * _noise(percent))
    for column in range(columns):
        value = percent[:, column]
        is_read = ~np.isnan(value)
        least = np.maximum(smallest, _FALL_SHARE * (100.0 - np.where(np.isfinite(peak), peak, 100.0)))
        rises = is_read & ~is_falling & (value > peak)
        peak = np.where(rises, value, peak)
        peak_column[rises] = column
        begins = is_read & ~is_falling & (value < peak - least)
        count += begins
        peaks[rows[begins], peak_column[begins]] = peak[begins]
        trough = np.where(begins, math.inf, trough)
        is_falling |= begins
        sinks = is_read & is_falling & (value <= trough)
        trough = np.where(sinks, value, trough)
        troughs[rows[sinks], peak_column[sinks]] = value[sinks]
        run_from = np.where(sinks, hours[:, column], run_from)
        turns = is_read & is_falling & (value > trough + least)
        is_falling &= ~turns
        peak = np.where(turns, value, peak)
        peak_column[turns] = column
    return _Falls(peaks, troughs, count, run_from)


def _noise(percent: Floats) -> Floats:
    """Return the standard deviation of each series' readings about their course, from one to the next."""
    steps = np.diff(percent, axis=1)
    usual = _median(steps)
    # Half of what is normally distributed is within 0.6745 deviations; a step has the noise of two readings.
    return np.nan_to_num(_median(np.abs(steps - usual[:, None])) / (0.6745 * math.sqrt(2.0)))


def _with_last(peaks: Floats, percent: Floats) -> Floats:
    """Return the peaks, and the last reading where it is a new one already."""
    points = peaks.copy()
    with np.errstate(invalid="ignore"):
        highest = np.nanmax(peaks, axis=1, initial=-math.inf)
    points[:, -1] = np.where(percent[:, -1] > highest, percent[:, -1], points[:, -1])
    return points


@dataclass(frozen=True)
class _Trend:
    """As Forecast; times in hours from the last reading."""

    percent_per_hour: Floats
    hours: Floats
    low_hours: Floats
    high_hours: Floats
    since: Floats


def _no_trend(series: int) -> _Trend:
    never = np.full(series, math.inf)
    return _Trend(np.full(series, np.nan), never, never, never, np.zeros(series))


def _surer(one: _Trend, other: _Trend) -> _Trend:
    is_surer = other.high_hours < one.high_hours
    both = zip(vars(one).values(), vars(other).values(), strict=True)
    return _Trend(*(np.where(is_surer, theirs, mine) for mine, theirs in both))


def _of_window(hours: Floats, points: Floats, window: float) -> _Trend:
    """Return the trend of the last so many hours, none where they do not show one."""
    series = len(hours)
    part_hours = window / _PARTS
    is_inside = ~np.isnan(points) & (hours > -window - part_hours / 2)
    part = np.clip(np.floor(np.where(is_inside, hours, 0.0) / part_hours + _PARTS), 0, _PARTS - 1).astype(np.int64)
    place = (np.arange(series)[:, None] * _PARTS + part)[is_inside]

    def sums(values: Floats) -> Floats:
        summed: Floats = np.bincount(place, values[is_inside].astype(np.float64), series * _PARTS).astype(np.float64)
        return summed.reshape(series, _PARTS)

    readings = sums(np.ones(points.shape))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = sums(hours) / readings
        y = sums(points) / readings
        seen_hours = -np.where(is_inside, hours, 0.0).min(axis=1, initial=0.0)
        slope = _median((y[:, _SECOND] - y[:, _FIRST]) / (t[:, _SECOND] - t[:, _FIRST]))
        between = np.diff(t, axis=1)
        rise = np.diff(y, axis=1)
        excess = (rise - slope[:, None] * between) / np.sqrt(between)
        steps = (~np.isnan(rise)).sum(axis=1)
        spread = np.sqrt(np.nansum(excess**2, axis=1) / steps)
        is_steady = rise >= _STEADY_SHARE * slope[:, None] * between
        rows, last = np.arange(series), _last(points)
        left = np.maximum(100.0 - points[rows, last] + np.maximum(slope, 0.0) * hours[rows, last], 0.0)
        to_full = left / slope
        error = _QUANTILE * spread * np.sqrt(1.0 / seen_hours + 1.0 / to_full)
        is_trend = (
            ((readings > 0).sum(axis=1) >= _LEAST_PARTS)
            & (seen_hours >= _COVERED * window)
            & (slope > error)
            & (slope > _SURE_QUANTILE * spread / np.sqrt(seen_hours))
            & (to_full <= _MOST_EXTENSION * seen_hours)
            & (is_steady.sum(axis=1) >= steps - _MOST_UNSTEADY)
            & is_steady[:, -1]
        )
        low, high = left / (slope + error), left / (slope - error)
    none = _no_trend(series)
    return _Trend(
        np.where(is_trend, slope, none.percent_per_hour),
        np.where(is_trend, to_full, none.hours),
        np.where(is_trend, low, none.low_hours),
        np.where(is_trend, high, none.high_hours),
        np.where(is_trend, -seen_hours, none.since),
    )


def _last(points: Floats) -> NDArray[np.int64]:
    """Return the column of the last value of each row that is not NaN."""
    from_the_end: NDArray[np.int64] = np.argmax(~np.isnan(points)[:, ::-1], axis=1)
    column: NDArray[np.int64] = points.shape[1] - 1 - from_the_end
    return column


def _median(values: Floats) -> Floats:
    """Return the median of each row, NaN left out; NaN where there is nothing else."""
    ordered = np.sort(values, axis=1)
    held = (~np.isnan(values)).sum(axis=1)
    rows, middle = np.arange(len(values)), np.maximum(held - 1, 0)
    low, high = middle // 2, np.minimum((middle + 1) // 2, values.shape[1] - 1)
    median: Floats = (ordered[rows, low] + ordered[rows, high]) / 2
    return median
