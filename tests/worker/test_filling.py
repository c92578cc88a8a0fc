"""Filesystems over days: what comes of their histories, and when disk_forecast opens and resolves."""

import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from store.filesystems import Held, decode_mounts, point_type
from tests.worker.conftest import NOW
from wire.snapshot import Details, Filesystem, encode_details
from worker.detection.host_limits import NO_POLICIES
from worker.filling import look

STORIES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "forecasts.toml").read_text())["story"]
VISIT_SECONDS = 311.0
"""Lanes are visited by a ring of 30 seconds."""

Course = Callable[[float], float]
Happened = list[tuple[str, float]]


@dataclass
class Simulated:
    """A host with what is stored of it, and what happened to its events: the change and the hour."""

    id: int
    filesystems_at: Callable[[float], tuple[Filesystem, ...] | None]
    """By the hour; None while it is silent."""
    clock_hours: Course = lambda _: 0.0
    hours: float = math.inf
    """That it is visited for."""
    mounts: bytes | None = None
    points: bytes | None = None
    next_at: float = 0.0
    tracks: bytes | None = None
    happened: Happened = field(default_factory=list)
    evidence: list[Mapping[str, Any]] = field(default_factory=list)
    last: tuple[float, bytes] | None = None

    def held(self, hour: float, now: float) -> Held | None:
        if hour >= self.hours:
            return None
        there = self.filesystems_at(hour)
        if there is not None:
            self.last = now + 3600 * self.clock_hours(hour), bytes(encode_details(Details(filesystems=there)))
        if self.last is None or self.next_at > now:
            return None
        return Held(self.id, False, *self.last, self.mounts, self.points, self.tracks)


def live(hosts: Sequence[Simulated], hours: float) -> None:
    """Visit the hosts for so long, as the duty does."""
    by_id = {host.id: host for host in hosts}
    for visit in range(int(hours * 3600 / VISIT_SECONDS)):
        hour = visit * VISIT_SECONDS / 3600
        now = NOW + 3600 * hour
        held = [one for host in hosts if (one := host.held(hour, now))]
        looked = look(held, NO_POLICIES, now)
        for row in looked.rows:
            host = by_id[row.host_id]
            host.mounts, host.points, host.next_at, host.tracks = row.mounts, row.points, row.next_at, row.tracks
        for host_id, change in looked.changes:
            opens = change.is_new or change.reopens
            if opens or change.state == "resolved":
                by_id[host_id].happened.append(("opens" if opens else "resolves", hour))
                by_id[host_id].evidence.append({"subject": change.subject, "value": change.value} | change.evidence)


def filesystem(mount: str, percent: float, inodes: float = 5.0) -> Filesystem:
    return Filesystem(mount, "/dev/sda1", "ext4", 100e9, percent * 1e9, percent, inodes)


def course(told: str) -> Course:
    """Return ``0h 40, 5h 60`` as a function of the hour."""
    corners = [[float(part) for part in corner.replace("h", "").split()] for corner in told.split(",")]
    hours, values = zip(*corners, strict=True)
    return lambda hour: float(np.interp(hour, hours, values))


def told_host(number: int, story: Mapping[str, Any]) -> Simulated:
    used, inodes = course(story["used"]), course(story.get("inodes", "0h 5"))
    height, period = (float(one) for one in re.findall(r"[\d.]+", story.get("teeth", "0 every 1h")))
    silent_from, silent_to = (float(one) for one in re.findall(r"[\d.]+", story.get("silent", "0-0h")))
    chance = np.random.default_rng(number)

    def filesystems_at(hour: float) -> tuple[Filesystem, ...] | None:
        if silent_from < hour < silent_to:
            return None
        percent = used(hour) + height * (hour % period) / period + story.get("noise", 0.0) * chance.standard_normal()
        return (filesystem("/srv", min(max(percent, 0.0), 100.0), inodes(hour)),)

    steps = [(float(by), float(at)) for by, at in re.findall(r"(-?[\d.]+) from ([\d.]+)h", story.get("clock", ""))]

    def clock_hours(hour: float) -> float:
        return next((by for by, at in reversed(steps) if hour >= at), 0.0)

    return Simulated(number, filesystems_at, clock_hours, length(story))


def length(story: Mapping[str, Any]) -> float:
    return max(float(hour) for key in ("used", "inodes") for hour in re.findall(r"([\d.]+)h", story.get(key, "")))


@pytest.fixture(scope="module")
def lived() -> dict[str, Simulated]:
    """All stories, lived side by side."""
    hosts = {story["name"]: told_host(number, story) for number, story in enumerate(STORIES)}
    live(list(hosts.values()), max(host.hours for host in hosts.values()))
    return hosts


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_story(story: dict[str, Any], lived: dict[str, Simulated]) -> None:
    expected = re.findall(r"(opens|resolves) ([\d.]+)-([\d.]+)h", story["expect"])
    happened = lived[story["name"]].happened
    assert [what for what, _ in happened] == [what for what, _, _ in expected], happened
    for (_, hour), (_, earliest, latest) in zip(happened, expected, strict=True):
        assert float(earliest) <= hour <= float(latest), happened


def test_the_evidence_of_inodes_tells_of_inodes(lived: dict[str, Simulated]) -> None:
    [opened] = lived["inodes run out, with room to spare"].evidence
    assert opened["subject"] == "/srv (inodes)"
    assert opened["filesystem"]["mount"] == "/srv"
    assert opened["forecast"]["of"] == "inodes"
    assert opened["forecast"]["growth_per_hour_percent"] == pytest.approx(2.0, rel=0.05)


def test_the_interval_holds_the_truth_and_the_trend_began_when_it_did(lived: dict[str, Simulated]) -> None:
    [opened] = lived["slow and noisy: it opens when a day is left"].evidence
    foreseen = opened["forecast"]
    truth = NOW + 60 * 3600 - opened["taken_at"]
    assert foreseen["full_in_low_seconds"] <= truth <= foreseen["full_in_high_seconds"]
    assert NOW <= foreseen["trend_since_at"] < opened["taken_at"] - 12 * 3600


def test_a_point_is_kept_in_five_minutes_at_first_and_in_two_hours_at_last(lived: dict[str, Simulated]) -> None:
    host = lived["log rotation that loses ground is a trend"]
    assert host.points is not None
    at = np.frombuffer(host.points, point_type(1))["at"].astype(np.float64)
    age, apart = at[-1] - at[1:], np.diff(at)
    assert len(at) < 100
    assert apart[age < 3600 * 2.5].max() < 900
    assert apart[age < 3600 * 11].max() < 3600
    assert apart.max() < 3 * 3600
    assert age.max() > 3600 * 54


def test_a_mount_that_comes_and_one_that_goes_leave_the_history_of_the_others() -> None:
    def filesystems_at(hour: float) -> tuple[Filesystem, ...]:
        growing = filesystem("/b", 40 + 2 * hour)
        return (filesystem("/a", 10.0), growing) if hour < 6 else (growing, filesystem("/c", 20.0))

    host = Simulated(1, filesystems_at)
    live([host], 14)
    assert [what for what, _ in host.happened] == ["opens"]
    assert decode_mounts(host.mounts or b"") == ["/b", "/c"]


@settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate])
@given(level=st.floats(20, 80), width=st.floats(0.5, 2), pull=st.floats(0.02, 0.3), seed=st.integers(0, 2**32 - 1))
def test_a_bounded_walk_about_a_level_opens_an_event_on_one_of_sixty_days_at_most(
    level: float, width: float, pull: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    walks = 60

    def walk() -> Callable[[float], tuple[Filesystem, ...]]:
        course = [0.0]
        for _ in range(300):
            course.append(course[-1] * (1 - pull) + width * math.sqrt(2 * pull) * chance.standard_normal())

        def filesystems_at(hour: float) -> tuple[Filesystem, ...]:
            off = min(max(course[int(hour * 3600 / VISIT_SECONDS)], -2 * width), 2 * width)
            return (filesystem("/", min(max(level + off, 0.0), 100.0)),)

        return filesystems_at

    hosts = [Simulated(number, walk()) for number in range(walks)]
    live(hosts, 24)
    assert sum(bool(host.happened) for host in hosts) <= 1
