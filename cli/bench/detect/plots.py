"""Where the detector is most wrong, drawn: the longest stretches that it missed, and its surest false alarms.

Of each kind of series in turn, and no series twice, so that long files do not hide the short incidents of hosts.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cli.bench.detect.events import Told
from cli.bench.detect.scores import is_false, missed
from cli.bench.detect.svg import Panel, chart
from cli.errors import CommandFailed

_DAY = 86400.0
_PLOTS = 3


class _Wrong(NamedTuple):
    told: Told
    first: int
    """Sample, and the last one."""
    last: int
    weight: float
    """How wrong it is, among those of its kind."""
    bucket: int
    """Whose leading metrics show it best."""
    title: str


def draw(folder: Path, told: Sequence[Told]) -> None:
    """Write ``missed-N.svg`` and ``false-N.svg``, three of each at most, into the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, wrongs in (("missed", _misses(told)), ("false", _false_alarms(told))):
            for number, wrong in enumerate(_worst(wrongs), start=1):
                (folder / f"{name}-{number}.svg").write_text(_around(wrong))
    except OSError as error:
        raise CommandFailed(f"--plots {folder} cannot be written: {error.strerror}") from None


def _misses(told: Sequence[Told]) -> list[_Wrong]:
    misses = []
    for one in told:
        for first, last in missed(one.series, _samples(one)):
            there = _buckets(one, first, last)
            best = there.start + int(one.score[there].argmax())
            title = f"missed: {one.series.name}, samples {first} to {last}, highest score {one.score[best]:.2f}"
            misses.append(_Wrong(one, first, last, last - first, best, title))
    return misses


def _false_alarms(told: Sequence[Told]) -> list[_Wrong]:
    return [
        _Wrong(
            one,
            opening.sample,
            opening.sample,
            opening.score,
            opening.bucket,
            f"false: {one.series.name}, sample {opening.sample}, score {opening.score:.2f}",
        )
        for one in told
        for opening in one.openings[0]
        if is_false(one.series, opening.sample)
    ]


def _worst(wrongs: list[_Wrong]) -> list[_Wrong]:
    of_series: dict[str, _Wrong] = {}
    for wrong in sorted(wrongs, key=lambda wrong: -wrong.weight):
        of_series.setdefault(wrong.told.series.name, wrong)
    kinds = sorted({wrong.told.series.kind for wrong in wrongs})
    by_kind = ([wrong for wrong in of_series.values() if wrong.told.series.kind == kind] for kind in kinds)
    return [wrong for wrong in chain.from_iterable(zip_longest(*by_kind)) if wrong is not None][:_PLOTS]


def _samples(one: Told) -> list[int]:
    return [opening.sample for opening in one.openings[0]]


def _buckets(one: Told, first: int, last: int) -> slice:
    """Return the buckets with these samples."""
    past = one.series.past
    after = one.series.buckets.told_at
    return slice(
        int(np.searchsorted(after, past + first, "right")), int(np.searchsorted(after, past + last, "right")) + 1
    )


def _around(wrong: _Wrong) -> str:
    """Return the chart of a stretch: from two days, or twice its length, before it to half of that after it."""
    series = wrong.told.series
    at = series.at[series.past :]
    before = max(2 * _DAY, 2 * (at[wrong.last] - at[wrong.first]))
    begin = int(np.searchsorted(at, at[wrong.first] - before))
    end = int(np.searchsorted(at, at[wrong.last] + before / 2, "right"))
    values = series.values[series.past + begin : series.past + end]
    footer = f"{(at[end - 1] - at[begin]) / _DAY:.1f} days; yellow: labelled, red: an event opens"
    metrics = wrong.told.leading[wrong.bucket].tolist()
    panels = [Panel(f"metric {metric + 1} of {values.shape[1]}", values[:, metric]) for metric in metrics]
    spans = [(first - begin, last - begin) for first, last in series.spans or () if last >= begin and first < end]
    events = [sample - begin for sample in _samples(wrong.told) if begin <= sample < end]
    return chart(wrong.title, footer, panels, spans, events)
