"""The two rules by which openings are scored, and what they score without one series at a time.

Files of the Numenta Anomaly Benchmark are scored by its own rule (Lavin and Ahmad 2015, "Evaluating Real-time Anomaly
Detection Algorithms", version 1.1). Inside a labelled window the earliest opening counts, by how early it is; a window
without one costs; outside, each opening costs, less where it shortly follows a window. The first 15 % of the samples,
750 at the most, are not scored. 100 is perfect, 0 is saying nothing.

Hosts: a labelled segment is found by an event that opens from 5 samples before it to 10 after its end; an opening
anywhere else is false.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.bench.detect.dataset import Series

_PROBATION_SHARE, _PROBATION_SAMPLES = 0.15, 750
_PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
"""What an opening outside costs, and a window that is missed."""
_FAR_WIDTHS = 3.0
_EARLY_SAMPLES, _LATE_SAMPLES = 5, 10
_DAY = 86400.0


@dataclass(frozen=True)
class Counted:
    """What the rules count in one series with labels."""

    series: Series
    worth: tuple[float, ...]
    """Of each labelled stretch, 0 where it was missed; for hosts 1 where it was found."""
    outside: tuple[float, ...]
    """The cost of each opening outside, as a share of the full one."""
    days: float
    """That are scored."""
    quiet_days: float
    """Of those, without a label."""

    @property
    def found(self) -> int:
        """Labelled stretches that were."""
        return sum(worth > 0 for worth in self.worth)


def count(series: Series, samples: Iterable[int]) -> Counted | None:
    """Return what the openings at these samples count; None for a series without labels."""
    if series.spans is None:
        return None
    openings = sorted({sample for sample in samples if sample >= 0})
    return _in_host(series, series.spans, openings) if series.is_host else _in_windows(series, series.spans, openings)


def _in_windows(series: Series, spans: Sequence[tuple[int, int]], openings: list[int]) -> Counted:
    probation = min(int(_PROBATION_SHARE * series.length), _PROBATION_SAMPLES)
    windows = sorted(spans)
    worth, outside = [0.0] * len(windows), []
    for sample in openings:
        if sample < probation:
            continue
        inside = next((place for place, (first, last) in enumerate(windows) if first <= sample <= last), None)
        if inside is None:
            outside.append(_cost(windows, sample))
        else:
            first, last = windows[inside]
            early = _sigma(-(last - sample + 1) / (last - first + 1)) / _sigma(-1.0)
            worth[inside] = max(worth[inside], early)
    scored = series.at[probation:]
    labelled = sum(
        float(series.at[last] - series.at[max(first, probation)]) for first, last in windows if last > probation
    )
    days = float(scored[-1] - scored[0])
    return Counted(series, tuple(worth), tuple(outside), days / _DAY, (days - labelled) / _DAY)


def _cost(windows: list[tuple[int, int]], sample: int) -> float:
    past = [window for window in windows if window[1] < sample]
    if not past:
        return -1.0
    first, last = past[-1]
    widths = (sample - last) / max(last - first, 1)
    return -1.0 if widths > _FAR_WIDTHS else _sigma(widths)


def _sigma(x: float) -> float:
    return 2.0 / (1.0 + math.exp(5.0 * x)) - 1.0


def _in_host(series: Series, spans: Sequence[tuple[int, int]], openings: list[int]) -> Counted:
    hits = [
        {sample for sample in openings if first - _EARLY_SAMPLES <= sample <= last + _LATE_SAMPLES}
        for first, last in spans
    ]
    false = set(openings).difference(*hits)
    days = series.length * series.sample_seconds / _DAY
    labelled = sum(last - first + 1 for first, last in spans) * series.sample_seconds / _DAY
    return Counted(series, tuple(float(bool(hit)) for hit in hits), (-1.0,) * len(false), days, days - labelled)


def missed(series: Series, samples: Iterable[int]) -> list[tuple[int, int]]:
    """Return the labelled stretches that the openings at these samples do not find."""
    counted = count(series, samples)
    if counted is None or series.spans is None:
        return []
    return [span for span, worth in zip(sorted(series.spans), counted.worth, strict=True) if not worth > 0]


def is_false(series: Series, sample: int) -> bool:
    """Tell whether an opening at this sample counts as a false alarm."""
    counted = count(series, [sample])
    return counted is not None and bool(counted.outside)


def score(counted: Sequence[Counted]) -> dict[str, dict[str, Any] | None]:
    """Return the scores of both parts, None for one without labels."""
    nab = [one for one in counted if not one.series.is_host]
    hosts = [one for one in counted if one.series.is_host]
    return {"nab": _of_nab(nab) if nab else None, "hosts": _of_hosts(hosts) if hosts else None}


def _of_nab(counted: Sequence[Counted]) -> dict[str, Any]:
    worth = [worth for one in counted for worth in one.worth]
    outside = [cost for one in counted for cost in one.outside]
    scores = {}
    for profile, (false_cost, missed_cost) in _PROFILES.items():
        raw = sum(each if each > 0 else -missed_cost for each in worth) + false_cost * sum(outside)
        silent = -missed_cost * len(worth)
        scores[profile] = 100.0 * (raw - silent) / (len(worth) - silent) if worth else 0.0
    return {
        **scores,
        "windows_found": sum(one.found for one in counted),
        "windows": len(worth),
        "false_per_series_day": _rate(len(outside), sum(one.days for one in counted)),
    }


def _of_hosts(counted: Sequence[Counted]) -> dict[str, Any]:
    found = sum(one.found for one in counted)
    segments = sum(len(one.worth) for one in counted)
    false = sum(len(one.outside) for one in counted)
    precision, recall = _rate(found, found + false), _rate(found, segments)
    return {
        "f1": _rate(2 * precision * recall, precision + recall),
        "precision": precision,
        "recall": recall,
        "segments": segments,
        "false_per_host_day": _rate(false, sum(one.days for one in counted)),
    }


def noise(counted: Sequence[Counted]) -> dict[str, dict[str, Any]]:
    """Return the events on stretches without a label, rates of one series or host: NAB, hosts, and these by kind."""
    by_kind = {
        "nab": [one for one in counted if not one.series.is_host],
        "hosts": [one for one in counted if one.series.is_host],
        "machine": [one for one in counted if one.series.kind == "machine"],
        "omi": [one for one in counted if one.series.kind == "omi"],
    }
    return {kind: _noise(some) for kind, some in by_kind.items() if some}


def _noise(counted: Sequence[Counted]) -> dict[str, Any]:
    events, days = sum(len(one.outside) for one in counted), sum(one.quiet_days for one in counted)
    return {"events": events, "days": days, "per_day": _rate(events, days), "per_week": 7 * _rate(events, days)}


def leave_one_out(by_limit: Mapping[float, Sequence[Counted]], default: float) -> tuple[list[float], list[Counted]]:
    """Return for each series the limit that is best for all others, and what it counts with that.

    Best is the highest mean of the NAB standard score and the hosts' F1, of what there is; of equals the nearest to the
    default.
    """
    chosen, left_out = [], []
    nearest_first = sorted(by_limit, key=lambda limit: abs(limit - default))
    for place in range(len(by_limit[default])):
        limit = max(
            nearest_first, key=lambda limit: _goodness([*by_limit[limit][:place], *by_limit[limit][place + 1 :]])
        )
        chosen.append(limit)
        left_out.append(by_limit[limit][place])
    return chosen, left_out


def _goodness(counted: Sequence[Counted]) -> float:
    scores = score(counted)
    goods = []
    if scores["nab"] is not None:
        goods.append(float(scores["nab"]["standard"]) / 100.0)
    if scores["hosts"] is not None:
        goods.append(float(scores["hosts"]["f1"]))
    return sum(goods) / max(len(goods), 1)


def _rate(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
