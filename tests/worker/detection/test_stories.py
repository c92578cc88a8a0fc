"""The rules and the life of their events, told as stories in ``stories.toml``."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.worker.snapshots import Seen, batch, filesystem, process, seen
from wire.snapshot import Details, DiskHealth, Service
from worker.detection.rules import RULES
from worker.evaluation import EventChange, evaluate
from worker.events import Track, decode_tracks, encode_tracks

STORIES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parents[1] / "stories.toml").read_text())["story"]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_ends_as_told(story: dict[str, Any]) -> None:
    told = {key.removeprefix("expect "): words.split() for key, words in story.items() if key.startswith("expect ")}
    hands = {
        key.removeprefix("somebody "): words.split() for key, words in story.items() if key.startswith("somebody ")
    }
    assert lived(snapshots(story), list(told), hands) == told


def test_every_rule_has_a_story() -> None:
    told = {key.split()[1] for story in STORIES for key in story if key.startswith("expect ")}
    assert told == {rule.type for rule in RULES}


def snapshots(story: dict[str, Any]) -> list[Seen]:
    said = {
        key: words.split()
        for key, words in story.items()
        if key not in ("name", "at", "every_seconds") and key.split()[0] not in ("expect", "somebody")
    }
    lengths = {len(words) for words in said.values()}
    assert len(lengths) == 1, "every series of a story has as many words"
    count = lengths.pop()
    at = [float(word) for word in story["at"].split()] if "at" in story else None
    times = at or [step * float(story["every_seconds"]) for step in range(count)]
    assert len(times) == count
    return [snapshot(1.8e9 + times[step], {key: words[step] for key, words in said.items()}) for step in range(count)]


def snapshot(taken_at: float, said: dict[str, str]) -> Seen:
    core: dict[str, float] = {}
    filesystems, processes, services, disks = [], [], [], []
    for key, word in said.items():
        kind, _, name = key.partition(" ")
        if word == "gone":
            continue
        if kind == "filesystem":
            filesystems.append(filesystem(name, float(word)))
        elif kind == "process":
            processes.append(process(len(name), name, memory_percent=float(word)))
        elif kind == "service":
            services.append(Service(name, word == "running", word))
        elif kind == "disk":
            disks.append(DiskHealth(name, word == "failing"))
        else:
            core[kind] = math.nan if word == "?" else float(word)
    details = Details(
        filesystems=tuple(filesystems),
        processes_by_memory=tuple(processes),
        services=tuple(services),
        disk_health=tuple(disks),
    )
    return seen(taken_at, details, **core)


def lived(said: list[Seen], events: list[str], hands: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the state of each event after each snapshot, each taken in by a worker that knows what is stored alone."""
    tracks: list[Track] = []
    by_hand: set[tuple[str, str]] = set()
    states: dict[str, list[str]] = {event: [] for event in events}
    cpu = math.nan
    for step, one in enumerate(said):
        evaluation = evaluate(batch([one], previous_cpu_percent=[cpu]), {0: tracks}, lambda _, one=one: one.details)
        cpu = one.core.get("cpu_percent", math.nan)
        tracks = decode_tracks(encode_tracks(evaluation.tracks.get(0, tracks)))
        changes = {(change.type, change.subject): change for change in evaluation.changes}
        by_hand -= {key for key, change in changes.items() if change.is_new or change.reopens}
        now = {(track.type, track.subject): track for track in tracks}
        for event, words in states.items():
            key = named(event)
            words.append("-" if key in by_hand else state(now.get(key), changes.get(key)))
        by_hand -= {key for key, change in changes.items() if change.state == "resolved"}
        by_hand |= {named(event) for event, words in hands.items() if words[step] == "resolves"}
    return states


def named(event: str) -> tuple[str, str]:
    event_type, _, name = event.partition(" ")
    return event_type, f"{name} (pid {len(name)})" if event_type == "process_memory_high" else name


def state(track: Track | None, change: EventChange | None) -> str:
    if change is not None and change.state == "resolved":
        return "resolved"
    if track is None or track.state == "resolved":
        return "-"
    if track.state == "pending":
        return "pending"
    if track.flapping:
        return "flapping"
    return "reopened" if change is not None and change.reopens else track.severity
