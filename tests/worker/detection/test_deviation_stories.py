"""What becomes of a host's metrics, told as stories in ``deviations.toml``."""

import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from worker.detection.deviation.detector import Bucket, Season, new_memory
from worker.detection.deviation.expectation import BUCKET_SECONDS, DAY_SLOTS, slot_of
from worker.detection.limits import DEFAULTS
from worker.unusual import DEVIATION, Lane, look

STORIES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parents[1] / "deviations.toml").read_text())["story"]
DAY = 86400 // BUCKET_SECONDS
METRICS = 8

_USUAL = re.compile(r"(?P<level>\S+) daily (?P<daily>\S+) noise (?P<noise>\S+)")
_PEAK = re.compile(r"(?P<first>\S+)-(?P<last>\S+)h \+(?P<size>\S+)")
_HAPPENS = re.compile(r"(?P<first>\S+)d-(?P<last>\S+)d(?: every (?P<every>\S+)d)?: (?P<what>.+)")
_MOVED = re.compile(r"(?P<all>all )?(?P<metrics>\d) metrics (?P<size>[+-]\S+)")
_EXPECTED = re.compile(r"(opens|resolves) (\S+)-(\S+)d")


class Told(NamedTuple):
    """The hosts of a story: their metrics, (buckets, hosts, metrics), and whether they are paused."""

    values: np.ndarray[Any, np.dtype[np.float32]]
    noise: float
    paused: np.ndarray[Any, np.dtype[np.bool_]]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_ends_as_told(story: dict[str, Any], lived: dict[str, list[list[tuple[str, float]]]]) -> None:
    mine, *others = lived[story["name"]]
    expected = [(change, float(first), float(last)) for change, first, last in _EXPECTED.findall(story["expect"])]
    assert expected or story["expect"] == "never"
    assert [change for change, _ in mine] == [change for change, *_ in expected], mine
    for (change, day), (_, first, last) in zip(mine, expected, strict=True):
        assert first <= day <= last, f"{change} at {day}"
    assert others == [[]] * (story.get("hosts", 1) - 1)


@pytest.fixture(scope="module")
def lived() -> dict[str, list[list[tuple[str, float]]]]:
    """What changed and on which day, of each story and each of its hosts: all of them in one lane, bucket by bucket."""
    told = [_told(story) for story in STORIES]
    places = np.split(
        np.arange(sum(one.values.shape[1] for one in told)), np.cumsum([one.values.shape[1] for one in told])[:-1]
    )
    hosts, buckets = int(places[-1][-1]) + 1, max(len(one.values) for one in told)
    bucket_at = np.full((3, buckets, hosts, METRICS), np.nan, np.float32)
    paused = np.zeros((buckets, hosts), bool)
    for one, mine in zip(told, places, strict=True):
        for way, part in zip((0, -one.noise, one.noise), bucket_at, strict=True):
            part[: len(one.values), mine, : one.values.shape[2]] = one.values + way
        paused[: len(one.paused), mine] = one.paused
    memory, season = new_memory(hosts, METRICS), np.zeros((DAY_SLOTS, hosts, METRICS), np.float32)
    tracks: dict[int, Any] = {}
    names, limits = [f"metric {metric}" for metric in range(METRICS)], [DEFAULTS[DEVIATION]] * hosts
    happened: list[list[tuple[str, float]]] = [[] for _ in range(hosts)]
    for step in range(buckets):
        start_at = float(step * BUCKET_SECONDS)
        slot = slot_of(start_at)
        unwatched = frozenset(np.flatnonzero(paused[step]).tolist())
        of_slot = Season(season[slot], season[slot], np.zeros(hosts, bool))
        lane = Lane(memory, of_slot, tracks, places, limits, unwatched)
        looked = look(lane, Bucket(*bucket_at[:, step]), names, start_at)
        memory, season[slot], tracks = looked.memory, looked.season.day, looked.tracks
        for change in looked.changes:
            word = "opens" if change.is_new else "opens again" if change.reopens else "resolves"
            if word != "resolves" or change.state == "resolved":
                happened[change.host].append((word, (step + 1) / DAY))
    return {story["name"]: [happened[place] for place in mine] for story, mine in zip(STORIES, places, strict=True)}


def _told(story: dict[str, Any]) -> Told:
    usual = {name: float(value) for name, value in _matched(_USUAL, story["usual"]).items()}
    shape = round(story["days"] * DAY), story.get("hosts", 1), story.get("metrics", METRICS)
    hour = np.arange(shape[0]) % DAY / DAY * 24
    noise = np.random.default_rng(len(story["name"])).normal(0, usual["noise"], shape)
    values = usual["level"] + usual["daily"] * np.sin(hour / 24 * math.tau)[:, None, None] + noise
    peak = np.zeros(shape[0])
    if "peak" in story:
        told = {name: float(value) for name, value in _matched(_PEAK, story["peak"]).items()}
        peak[(hour >= told["first"]) & (hour < told["last"])] = told["size"]
    paused = np.zeros(shape[:2], bool)
    for happens in story.get("happens", ()):
        for when, what in _times(happens, shape[0]):
            if what == "silent":
                values[when] = np.nan
            elif what == "paused":
                paused[when] = True
            elif what == "no peak":
                peak[when] = 0
            else:
                moved = _matched(_MOVED, what)
                whom = slice(None) if moved["all"] else 0
                values[when, whom, : int(moved["metrics"])] += float(moved["size"])
    return Told((values + peak[:, None, None]).astype(np.float32), usual["noise"], paused)


def _times(happens: str, buckets: int) -> Iterator[tuple[slice, str]]:
    told = _matched(_HAPPENS, happens)
    first, last = round(float(told["first"]) * DAY), round(float(told["last"]) * DAY)
    every = round(float(told["every"]) * DAY) if told["every"] else buckets
    for later in range(0, buckets - first, every):
        yield slice(first + later, last + later), told["what"]


def _matched(pattern: re.Pattern[str], text: str) -> dict[str, Any]:
    found = pattern.fullmatch(text)
    assert found, text
    return found.groupdict()
