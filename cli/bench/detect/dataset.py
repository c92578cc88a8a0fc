"""The labelled series of a folder: files of the Numenta Anomaly Benchmark, and hosts with many metrics.

nab/GROUP/FILE.csv   ``timestamp,value`` lines, times in UTC
nab_windows.json     {"GROUP/FILE.csv": [[first, last], …]}: labelled samples of each
hosts/NAME.npz       ``train`` and ``test`` (samples × metrics) without a gap between them, ``label`` of each sample
                     of ``test``; a sample a minute where NAME begins with "machine", every five minutes elsewhere
"""

import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cli.errors import CommandFailed
from worker.detection.deviation.detector import Bucket
from worker.detection.deviation.expectation import BUCKET_SECONDS, Values

Kind = Literal["nab", "machine", "omi"]
Spans = tuple[tuple[int, int], ...]

_MACHINE_SECONDS = 60.0
_OTHER_SECONDS = 300.0


@dataclass(frozen=True, eq=False)
class Series:
    """A host, with all its metrics. Samples are counted from the first that is scored."""

    name: str
    kind: Kind
    at: NDArray[np.float64]
    """Unix seconds of each sample; of a host's, the first is at midnight."""
    values: NDArray[np.float64]
    """(samples, metrics)"""
    past: int
    """So many samples at the beginning are the host's past, and not scored."""
    spans: Spans | None
    """First and last sample of each labelled stretch, None without labels."""

    @property
    def length(self) -> int:
        """The number of samples that are scored."""
        return len(self.values) - self.past

    @property
    def is_host(self) -> bool:
        """Not of the Numenta Anomaly Benchmark."""
        return self.kind != "nab"

    @property
    def sample_seconds(self) -> float:
        """Between two samples of a host."""
        return _MACHINE_SECONDS if self.kind == "machine" else _OTHER_SECONDS

    @cached_property
    def buckets(self) -> "Buckets":
        """The series as it is rolled up."""
        return _rolled_up(self.at, self.values)


@dataclass(frozen=True)
class Buckets:
    """Five-minute buckets of one series; those without a sample are left out."""

    number: NDArray[np.int64]
    """Of each, in buckets since 1970."""
    values: Bucket
    """(buckets, metrics) each"""
    told_at: NDArray[np.int64]
    """The first sample after each bucket, of all samples: when it is known. As many as there are for the last one."""


def read(folder: Path) -> list[Series]:
    """Read all series of a folder. Raises CommandFailed where there are none, or one cannot be read."""
    nab, hosts = sorted((folder / "nab").rglob("*.csv")), sorted((folder / "hosts").glob("*.npz"))
    if not nab and not hosts:
        raise CommandFailed(f"--dataset {folder}: there is neither nab/*.csv nor hosts/*.npz")
    windows = _windows(folder / "nab_windows.json")
    names = [path.relative_to(folder / "nab").as_posix() for path in nab]
    missing = sorted(set(windows or {}) - set(names))
    if missing:
        raise CommandFailed(f"nab_windows.json has labels of {missing[0]}, which is not in {folder / 'nab'}")
    series = [
        _nab_file(path, name, None if windows is None else windows.get(name))
        for path, name in zip(nab, names, strict=True)
    ]
    return series + [_host(path) for path in hosts]


def _windows(path: Path) -> dict[str, Spans] | None:
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text())
        return {name: tuple((int(first), int(last)) for first, last in spans) for name, spans in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandFailed(f"{path} is not a JSON object of lists of [first, last]: {error}") from None


def _nab_file(path: Path, name: str, spans: Spans | None) -> Series:
    try:
        lines = [line.split(",") for line in path.read_text().split("\n")[1:] if line.strip()]
        at = np.array([line[0].strip().replace(" ", "T") for line in lines], "datetime64[s]").astype(np.float64)
        values = np.array([float(line[1]) for line in lines])[:, None]
    except (ValueError, IndexError) as error:
        raise CommandFailed(f"{path} is not a file of timestamp,value lines: {error}") from None
    if not len(at):
        raise CommandFailed(f"{path} has no sample")
    return Series(name, "nab", at, values, 0, spans)


def _host(path: Path) -> Series:
    try:
        with np.load(path) as arrays:
            train, test = arrays["train"].astype(np.float64), arrays["test"].astype(np.float64)
            label = arrays["label"].ravel().astype(bool) if "label" in arrays else None
        values = np.concatenate((train, test))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CommandFailed(f"{path} does not hold train and test, samples × metrics: {error}") from None
    if label is not None and len(label) != len(test):
        raise CommandFailed(f"{path} has {len(label)} labels of {len(test)} samples")
    kind: Kind = "machine" if path.stem.startswith("machine") else "omi"
    seconds = _MACHINE_SECONDS if kind == "machine" else _OTHER_SECONDS
    spans = None if label is None else _spans(label)
    return Series(path.stem, kind, np.arange(0.0, len(values)) * seconds, values, len(train), spans)


def _spans(label: NDArray[np.bool_]) -> Spans:
    edges = np.diff(np.concatenate(([0], label.astype(np.int8), [0])))
    ends = np.flatnonzero(edges == -1) - 1
    return tuple(zip(np.flatnonzero(edges == 1).tolist(), ends.tolist(), strict=True))


def _rolled_up(at: NDArray[np.float64], values: NDArray[np.float64]) -> Buckets:
    # What comes late belongs to a bucket that was looked at: it is taken for of the present one.
    of_sample = np.maximum.accumulate(np.floor(at / BUCKET_SECONDS).astype(np.int64))
    first = np.flatnonzero(np.diff(of_sample, prepend=of_sample[0] - 1))
    is_there = ~np.isnan(values)
    count = np.add.reduceat(is_there, first, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.where(is_there, values, 0.0), first, axis=0)
    average = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    lowest, highest = np.fmin.reduceat(values, first, axis=0), np.fmax.reduceat(values, first, axis=0)
    bucket = Bucket(*(_float32(part) for part in (average, lowest, highest)))
    return Buckets(of_sample[first], bucket, np.append(first[1:], len(at)))


def _float32(values: NDArray[np.float64]) -> Values:
    return values.astype(np.float32)
