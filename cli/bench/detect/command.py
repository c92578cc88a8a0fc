"""``fleetmedic bench detect`` on the command line: what it takes, and what it prints."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.tables import table


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--dataset",
        type=Path,
        required=True,
        metavar="DIR",
        help="the labelled series: nab/*.csv with nab_windows.json, and hosts/*.npz",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="F",
        help="write the samples at which events opened to this file, as JSON; needs no labels",
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help="draw the worst misses and false alarms as SVG files in this folder",
    )


def run(arguments: Namespace, environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run the bench."""
    from cli.bench.detect import bench

    figures = bench.run(bench.Plan(arguments.dataset, arguments.out, arguments.plots), say)
    print(json.dumps(figures, indent=2) if arguments.json else _summary(figures))
    return 0


_ROWS = {
    "nab": {
        "standard": "NAB, standard",
        "low_fp": "NAB, low FP",
        "low_fn": "NAB, low FN",
        "windows_found": "NAB, windows found",
        "false_per_series_day": "NAB, false a series and day",
    },
    "hosts": {
        "f1": "hosts, F1",
        "precision": "hosts, precision",
        "recall": "hosts, recall",
        "false_per_host_day": "hosts, false a host and day",
    },
}

_COLUMNS = (
    ("nab", "standard", "NAB standard"),
    ("nab", "low_fp", "low FP"),
    ("nab", "false_per_series_day", "false a day"),
    ("hosts", "f1", "hosts F1"),
    ("hosts", "recall", "recall"),
    ("hosts", "false_per_host_day", "false a day"),
)


def _summary(figures: Mapping[str, Any]) -> str:
    scores = [
        [title, f"{figures[part][name]:g}", f"{figures[part]['leave_one_out'][name]:g}"]
        for part, titles in _ROWS.items()
        if figures[part] is not None
        for name, title in titles.items()
    ]
    noise = [
        [kind, str(of["events"]), f"{of['days']:.1f}", f"{of['per_day']:.3f}", f"{of['per_week']:.2f}"]
        for kind, of in figures["noise"].items()
    ]
    chosen = ", ".join(f"{limit} for {times}" for limit, times in figures["limits_chosen"].items())
    series = figures["series"]
    lines = [
        f"{series['nab']} NAB files and {series['hosts']} hosts, {figures['buckets']:,} buckets in "
        f"{figures['cpu_seconds']:g} s of CPU, {figures['openings']} events"
    ]
    if scores:
        lines += ["", table(["score", "plain", "left out"], scores, frozenset({1, 2}))]
        lines += ["", f"limit {figures['limit']:g}; chosen without each series: {chosen}"]
        header = ["without label", "events", "days", "a day", "a week"]
        lines += ["", table(header, noise, frozenset({1, 2, 3, 4}))]
        lines += ["", _by_limit(figures["by_limit"])]
    if figures["series_without_labels"]:
        lines += ["", f"{figures['series_without_labels']} series have no labels and are not scored"]
    return "\n".join(lines)


def _by_limit(by_limit: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    there = [column for column in _COLUMNS if all(column[0] in of for of in by_limit.values())]
    rows = [[limit, *(f"{of[part][name]:g}" for part, name, _ in there)] for limit, of in by_limit.items()]
    return table(["limit", *(title for *_, title in there)], rows, frozenset(range(1 + len(there))))
