import importlib.util
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cli.bench.detect import bench, dataset, scores
from cli.bench.detect.dataset import Series, Spans
from cli.bench.detect.events import tell
from cli.main import main

SHARED = Path(__file__).parents[3] / "shared" / "detection"
DAY = 288
"""Samples, of five minutes."""
SHIFT = "group/shift.csv"
NAB_FIGURES = {"standard", "low_fp", "low_fn", "windows_found", "windows", "false_per_series_day"}
HOST_FIGURES = {"f1", "precision", "recall", "segments", "false_per_host_day"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file whose level shifts on its eighth day, and two hosts with an incident each, all labelled."""
    chance = np.random.default_rng(3)
    folder = tmp_path / "labelled"
    (folder / "nab" / "group").mkdir(parents=True)
    (folder / "hosts").mkdir()
    # Without tails: a single metric beyond all that it ever was is told of.
    values = 10 + chance.uniform(-1, 1, 10 * DAY)
    values[7 * DAY + 90 :] += 60
    at = np.datetime64("2026-03-01") + np.arange(len(values)) * np.timedelta64(300, "s")
    lines = (f"{str(when).replace('T', ' ')},{value}" for when, value in zip(at, values, strict=True))
    (folder / "nab" / SHIFT).write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    (folder / "nab_windows.json").write_text(json.dumps({SHIFT: [[7 * DAY + 50, 7 * DAY + 250]]}))
    for name, samples_a_bucket in (("omi-x", 1), ("machine-x", 5)):
        usual = 0.5 + chance.normal(0, 0.01, (6 * DAY * samples_a_bucket, 8))
        train, test = np.split(usual, [4 * DAY * samples_a_bucket])
        label = np.zeros(len(test), int)
        label[DAY * samples_a_bucket : (DAY + 10) * samples_a_bucket] = 1
        test[label == 1] += 0.3
        np.savez(folder / "hosts" / f"{name}.npz", train=train, test=test, label=label)
    return folder


def without_labels(folder: Path) -> Path:
    (folder / "nab_windows.json").unlink()
    for path in (folder / "hosts").iterdir():
        arrays = np.load(path)
        np.savez(path, train=arrays["train"], test=arrays["test"])
    return folder


def test_what_is_plain_to_see_is_found_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "detect", "--dataset", str(folder), "--json"]) == 0
    told = capsys.readouterr()
    figures = json.loads(told.out)
    # In a pipe it shows no progress.
    assert told.err == ""
    assert set(figures["nab"]) == NAB_FIGURES | {"leave_one_out"}
    assert set(figures["hosts"]) == HOST_FIGURES | {"leave_one_out"}
    assert (figures["nab"]["windows_found"], figures["nab"]["false_per_series_day"]) == (1, 0)
    assert (figures["hosts"]["f1"], figures["hosts"]["segments"], figures["hosts"]["false_per_host_day"]) == (1, 2, 0)
    assert figures["hosts"]["leave_one_out"]["f1"] == 1
    assert figures["noise"]["machine"] == {
        "events": 0,
        "days": pytest.approx(2 - 10 / DAY, abs=1e-3),
        "per_day": 0,
        "per_week": 0,
    }
    assert set(figures["by_limit"]) == {f"{scale * bench.LIMIT.value:g}" for scale in bench.SCALES}


def test_it_prints_tables_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "detect", "--dataset", str(folder)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["hosts,", "F1", "1", "1"] in lines
    assert ["score", "plain", "left", "out"] in lines


def test_openings_are_written_the_same_with_labels_and_without(folder: Path, tmp_path: Path) -> None:
    written = []
    for series in (folder, without_labels(folder)):
        out = tmp_path / "out.json"
        assert main(["bench", "detect", "--dataset", str(series), "--out", str(out)]) == 0
        written.append(json.loads(out.read_text()))
    assert written[0] == written[1]
    assert set(written[0]["nab"]) == {SHIFT}
    # An event of a bucket is known at the first sample after it.
    assert written[0]["nab"][SHIFT] == [7 * DAY + 91]
    assert written[0]["hosts"] == {"machine-x": [5 * (DAY + 1)], "omi-x": [DAY + 1]}


def test_without_labels_and_without_out_it_says_that_there_is_nothing_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "detect", "--dataset", str(without_labels(folder))]) == 1
    assert "has no labels: nothing can be scored; --out F writes the openings" in capsys.readouterr().err


def test_a_series_that_is_cut_has_the_same_openings_up_to_there(folder: Path) -> None:
    whole = dataset.read(folder)
    told = tell(whole, [bench.LIMIT], lambda _: None)
    assert all(one.openings[0] for one in told)
    for length in (one.openings[0][0].sample + one.series.past + more for one in told[:2] for more in (0, 1)):
        cut = [Series(one.name, one.kind, one.at[:length], one.values[:length], one.past, None) for one in whole]
        for short, long in zip(tell(cut, [bench.LIMIT], lambda _: None), told, strict=True):
            known = [opening for opening in long.openings[0] if opening.sample + long.series.past < length]
            assert short.openings[0] == known


def test_the_worst_are_drawn(folder: Path, tmp_path: Path) -> None:
    (folder / "nab_windows.json").write_text(json.dumps({SHIFT: [[8 * DAY, 9 * DAY]]}))
    plots = tmp_path / "plots"
    assert main(["bench", "detect", "--dataset", str(folder), "--plots", str(plots)]) == 0
    assert {path.name for path in plots.iterdir()} == {"missed-1.svg", "false-1.svg"}
    for path in plots.iterdir():
        drawn = ElementTree.parse(path)
        assert drawn.findall(".//{*}polyline")
        assert drawn.findall(".//{*}line[@class='event']")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "nab/group/shift.csv",
            b"timestamp,value\n2026-03-01 00:00:00,much\n",
            "is not a file of timestamp,value lines",
        ),
        ("nab/group/shift.csv", b"timestamp,value\n", "shift.csv has no sample"),
        ("nab_windows.json", b"[]", "is not a JSON object of lists of [first, last]"),
        ("nab_windows.json", b'{"gone.csv": []}', "nab_windows.json has labels of gone.csv, which is not in"),
        ("hosts/omi-x.npz", b"PK", "omi-x.npz does not hold train and test"),
    ],
)
def test_what_cannot_be_read_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, message: str
) -> None:
    (folder / name).write_bytes(content)
    assert main(["bench", "detect", "--dataset", str(folder)]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_series_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "detect", "--dataset", str(tmp_path)]) == 1
    assert "there is neither nab/*.csv nor hosts/*.npz" in capsys.readouterr().err


def series(kind: dataset.Kind, length: int, spans: Spans) -> Series:
    return Series("x", kind, np.arange(length) * 300.0, np.zeros((length, 1)), 0, spans)


@pytest.mark.parametrize(
    ("openings", "standard"),
    [
        ([], 0.0),
        # At the very first sample of the window, which is worth all; a second one in it counts nothing.
        ([200], 100.0),
        ([200, 205], 100.0),
        # A late one is worth less, and one outside costs 0.11.
        ([219], 100 * (1 + np.tanh(5 * 1 / 20 / 2) / np.tanh(5 / 2)) / 2),
        ([200, 500], 94.5),
        ([500], -5.5),
        # In the first 15 percent nothing counts.
        ([149], 0.0),
    ],
)
def test_windows_are_scored_as_the_numenta_benchmark_does(openings: list[int], standard: float) -> None:
    counted = scores.count(series("nab", 1000, ((200, 219),)), openings)
    assert counted is not None
    figures = scores.score([counted])["nab"]
    assert figures is not None
    assert figures["standard"] == pytest.approx(standard)


@pytest.mark.parametrize(
    ("openings", "found", "false"),
    [([], 0, 0), ([94], 0, 1), ([95], 1, 0), ([119], 1, 0), ([120], 0, 1), ([95, 100], 1, 0), ([100, 500, 600], 1, 2)],
)
def test_segments_are_found_from_5_samples_before_to_10_after(openings: list[int], found: int, false: int) -> None:
    counted = scores.count(series("omi", 2880, ((100, 109),)), openings)
    assert counted is not None
    figures = scores.score([counted])["hosts"]
    assert figures is not None
    assert (figures["recall"], figures["false_per_host_day"]) == (found, false / 10)


def test_a_series_that_is_left_out_is_counted_with_what_is_best_for_the_others() -> None:
    one, other = (series("omi", 2880, ((100, 109),)) for _ in range(2))
    counted = {
        1.0: [scores.count(one, [100]), scores.count(other, [])],
        0.9: [scores.count(one, [500]), scores.count(other, [100])],
    }
    chosen, left_out = scores.leave_one_out(counted, 1.0)
    assert chosen == [0.9, 1.0]
    assert left_out == [counted[0.9][0], counted[1.0][1]]


@pytest.fixture(scope="module")
def rules() -> ModuleType:
    """The rules as they come with the labelled series."""
    path = SHARED / "score.py"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_scores_are_those_of_the_rules_that_come_with_the_series(rules: ModuleType) -> None:
    chance = np.random.default_rng(11)
    every = dataset.read(SHARED)
    openings = {one.name: sorted(set(chance.integers(0, one.length, 12).tolist())) for one in every}
    for one in every:
        openings[one.name] += [first for first, _ in (one.spans or ())[::2]]
    ours = scores.score([counted for one in every if (counted := scores.count(one, openings[one.name]))])
    theirs: dict[str, Any] = {
        "nab": rules.score_nab(SHARED, openings),
        "hosts": rules.score_hosts(SHARED, openings),
    }
    for part, figures in theirs.items():
        assert ours[part] == pytest.approx(figures)
