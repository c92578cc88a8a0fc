"""``bench detect``: the events of deviation on labelled series, as a user would be told of them, and their scores.

The parameters are the product's defaults. Beside each score stands what it is when each series is left out in turn:
the limit is then chosen, from a few around the default, on all the others.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.bench.detect import dataset, scores
from cli.bench.detect.events import Told, tell
from cli.bench.detect.plots import draw
from cli.errors import CommandFailed
from worker.detection.limits import DEFAULTS
from worker.unusual import DEVIATION

LIMIT = DEFAULTS[DEVIATION]
SCALES = (1.0, 0.85, 0.9, 0.95, 1.05, 1.1, 1.2)
"""Of the default limit, which comes first, to choose from where a series is left out."""
_DIGITS = 3


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    dataset: Path
    out: Path | None
    """Where the openings go, in the form of ``score.py``."""
    plots: Path | None
    """The folder for plots of the worst misses and false alarms."""


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the figures. Raises CommandFailed where there is nothing to print or write."""
    series = dataset.read(plan.dataset)
    labelled = [one.spans is not None for one in series]
    if not any(labelled) and plan.out is None:
        raise CommandFailed(
            f"--dataset {plan.dataset} has no labels: nothing can be scored; --out F writes the openings"
        )
    limits = [replace(LIMIT, value=LIMIT.value * scale) for scale in SCALES] if any(labelled) else [LIMIT]
    began = time.process_time()
    told = tell(series, limits, say)
    seconds = time.process_time() - began
    if plan.out is not None:
        _write(plan.out, json.dumps(_openings(told), indent=1) + "\n")
    by_limit = {limit.value: _counted(told, which) for which, limit in enumerate(limits)}
    plain = by_limit[LIMIT.value]
    chosen, left_out = scores.leave_one_out(by_limit, LIMIT.value)
    if plan.plots is not None:
        draw(plan.plots, told)
    return {
        **_beside(scores.score(plain), scores.score(left_out)),
        "noise": _rounded(scores.noise(plain)),
        "limit": LIMIT.value,
        "by_limit": {
            f"{limit:g}": {part: _rounded(of) for part, of in scores.score(counted).items() if of is not None}
            for limit, counted in sorted(by_limit.items())
        },
        "limits_chosen": {f"{limit:g}": times for limit, times in sorted(Counter(chosen).items())},
        "series": {"nab": sum(not one.is_host for one in series), "hosts": sum(one.is_host for one in series)},
        "series_without_labels": labelled.count(False),
        "openings": sum(opening.sample >= 0 for one in told for opening in one.openings[0]),
        "buckets": sum(len(one.score) for one in told),
        "cpu_seconds": round(seconds, 1),
    }


def _counted(told: Sequence[Told], which: int) -> list[scores.Counted]:
    counted = (scores.count(one.series, (opening.sample for opening in one.openings[which])) for one in told)
    return [one for one in counted if one is not None]


def _openings(told: Sequence[Told]) -> dict[str, dict[str, list[int]]]:
    samples = {
        one.series: sorted({opening.sample for opening in one.openings[0] if opening.sample >= 0}) for one in told
    }
    return {
        part: {series.name: mine for series, mine in samples.items() if series.is_host == (part == "hosts")}
        for part in ("nab", "hosts")
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise CommandFailed(f"--out {path} cannot be written: {error.strerror}") from None


def _beside(
    plain: dict[str, dict[str, Any] | None], left_out: dict[str, dict[str, Any] | None]
) -> dict[str, dict[str, Any] | None]:
    return {
        part: None if mine is None else {**_rounded(mine), "leave_one_out": _rounded(left_out[part] or {})}
        for part, mine in plain.items()
    }


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _rounded(value)
        if isinstance(value, dict)
        else round(value, _DIGITS)
        if isinstance(value, float)
        else value
        for name, value in figures.items()
    }
