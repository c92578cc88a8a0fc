"""The verdict on a host, told as stories in ``stories.toml``."""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from api.diagnosis.measures import Resource
from api.diagnosis.sentences import Sentence
from api.diagnosis.suggestions import Suggestion
from api.diagnosis.verdict import Verdict, judge
from store.remedies import check
from tests.api.diagnosis.hosts import host
from wire import words
from worker.remedies.templates import Template, load_all

STORIES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "stories.toml").read_text())["story"]
UNTOLD = ("start_time", "memory_bytes", "directory_bytes")
ENDINGS = ("bottleneck", "summary", "says", "suggests", "never_says")


@pytest.fixture(scope="module")
def built_in() -> dict[str, Template]:
    """The remedies that come with the product."""
    return load_all()


def verdict(story: dict[str, Any]) -> Verdict:
    return judge(host({key: value for key, value in story.items() if key not in ENDINGS}))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_ends_as_told(story: dict[str, Any]) -> None:
    found = verdict(story)
    assert found.bottleneck == story["bottleneck"]
    assert found.summary == story.get("summary", found.summary)
    said = [sentence.text for sentence in found.findings[0].sentences]
    assert said == story.get("says", said)
    suggested = [shown(one) for one in found.suggestions]
    assert suggested[: len(story["suggests"])] == story["suggests"]
    if not story["suggests"]:
        assert suggested == []
    for part in story.get("never_says", []):
        assert part not in str(found)


def shown(one: Suggestion) -> str:
    """Return a suggestion as a story has it: its text, and the remedy and what it is for, or why there is none."""
    parameters = "".join(f" {name}={value}" for name, value in one.parameters.items() if name not in UNTOLD)
    event = f" for event {one.event_id}" if one.event_id else ""
    return f"{one.text} -> " + (f"{one.issue_type}{parameters}{event}" if one.issue_type else f"none: {one.no_remedy}")


def test_every_resource_is_the_bottleneck_of_a_story() -> None:
    assert {story["bottleneck"] for story in STORIES} == {*get_args(Resource), "none"}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_every_number_of_a_sentence_is_among_its_numbers(story: dict[str, Any]) -> None:
    for found in verdict(story).findings:
        assert found.sentences
        for sentence in found.sentences:
            kept_numbers = [number for one in kept(sentence) for number in numbers_in(one)]
            assert sorted(numbers_in(sentence.text)) == sorted(kept_numbers), sentence.text


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a text, but for those of names and pids."""
    return re.findall(r"\d[\d.,]*\b", re.sub(r"`[^`]*`|\(pid \d+\)|last 7 days", "", text))


def kept(sentence: Sentence) -> list[str]:
    writers = {
        "percent": words.percent,
        "bytes": words.size,
        "bytes/s": words.size,
        "seconds": words.duration,
    }
    return [
        writers[one.unit](one.value) if one.unit in writers else words.number(one.value, 2) for one in sentence.numbers
    ]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_each_suggestion_has_a_remedy_or_says_why_there_is_none(story: dict[str, Any]) -> None:
    for one in verdict(story).suggestions:
        assert (one.issue_type is None) != (one.no_remedy is None)
        assert one.expected


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_the_worst_and_the_best_come_first(story: dict[str, Any]) -> None:
    found = verdict(story)
    assert [one.score for one in found.findings] == sorted((one.score for one in found.findings), reverse=True)
    assert [one.rank for one in found.suggestions] == sorted((one.rank for one in found.suggestions), reverse=True)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_what_a_suggestion_gives_its_remedy_takes(story: dict[str, Any], built_in: dict[str, Template]) -> None:
    for one in verdict(story).suggestions:
        if one.issue_type in built_in:
            taken = {parameter.name: parameter for parameter in built_in[one.issue_type].remedy.parameters}
            assert all(check(taken[name], value) == value for name, value in one.parameters.items())
