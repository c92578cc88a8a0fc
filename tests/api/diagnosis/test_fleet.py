"""The verdict on all hosts: what each is like in, who is held back by what out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from api.diagnosis.fleet import MOST_CLOSE, Fleet, FleetVerdict, judge, to_look_at, to_name
from api.diagnosis.measures import METRICS, RESOURCES, Averages, scores, values
from api.diagnosis.verdict import judge as judge_host
from tests.api.diagnosis.hosts import CALM, host

BURNER = {"cpu_percent": 99, "process burner 4711": [190, 1]}
LOSSY = {"network_drops_per_second": 300}


def verdict(
    hosts: Sequence[Mapping[str, Any]],
    close: Sequence[int] = (),
    tags: Mapping[int, str] | None = None,
    more: int = 0,
    tags_of: Sequence[int] | None = None,
) -> FleetVerdict:
    """Judge hosts of which each is told as in a story; those in ``close``, by place, were looked at closely.

    Where ``tags_of`` is given, the tags of these alone are known.
    """
    means = np.array([[float(story.get(name, CALM[name])) for name in METRICS] for story in hosts])
    found = values(Averages(means, means))
    bearing = {place: frozenset((tags or {}).get(place, "").split()) for place in range(len(hosts))}
    everyone = [tag for mine in bearing.values() for tag in mine]
    if tags_of is not None:
        bearing = {place: bearing[place] for place in tags_of}
    return judge(
        Fleet(
            monitored=len(hosts) + more,
            host_ids=np.arange(len(hosts)),
            values=found,
            scores=scores(found),
            close={place: judge_host(host(hosts[place])) for place in close},
            names={place: f"host-{place}" for place in range(len(hosts))},
            tags=bearing,
            bearers={tag: everyone.count(tag) for tag in everyone},
        )
    )


def said(found: FleetVerdict) -> list[str]:
    return [sentence.text for sentence in found.findings[0].sentences]


def test_what_holds_most_hosts_back_is_the_bottleneck_though_another_is_worse_off() -> None:
    found = verdict([{}, *[{"cpu_percent": 95}] * 3, {"network_drops_per_second": 5000}])
    assert found.bottleneck == "cpu"
    assert [(one.resource, one.value) for one in found.findings] == [("cpu", 3), ("network", 1)]
    assert found.summary.startswith("4 of 5 hosts are held back. 3 of 5 hosts are held back by their CPU.")


def test_one_host_that_is_held_back_is_told_of_as_one() -> None:
    assert said(verdict([{}, {}, LOSSY])) == [
        "1 of 3 hosts is held back by its network.",
        "`host-2` 300 a second.",
        "Half of all hosts are below 0 a second.",
    ]


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (dict.fromkeys((0, 1, 2), "batch"), "3 of them bear the tag `batch`, as 3 hosts do."),
        (dict.fromkeys((0, 1, 2, 3), "batch"), "3 of them bear the tag `batch`, as 4 hosts do."),
        (dict.fromkeys(range(8), "all"), None),
        ({0: "batch", 5: "batch"}, None),
    ],
    ids=["theirs alone", "nearly theirs alone", "everybody's", "of few of them"],
)
def test_the_tag_that_they_share_is_told_where_it_is_theirs(tags: Mapping[int, str], told: str | None) -> None:
    found = said(verdict([{"cpu_percent": 95}] * 3 + [{}] * 5, tags=tags))
    assert [text for text in found if "tag" in text] == ([told] if told else [])


def test_of_very_many_hosts_the_tag_is_told_that_some_of_them_share() -> None:
    found = said(
        verdict([{"cpu_percent": 95}] * 40 + [{}] * 60, tags=dict.fromkeys(range(50), "batch"), tags_of=range(0, 40, 4))
    )
    assert found[-1] == "10 of 10 of them that were looked at for it bear the tag `batch`, as 50 hosts do."


def test_a_host_is_told_of_as_it_was_seen_most_closely() -> None:
    by_its_means, by_now = {"cpu_percent": 10}, BURNER
    means = np.array([[float(by_its_means.get(name, CALM[name])) for name in METRICS]])
    found = values(Averages(means, means))
    close = {0: judge_host(host(by_now))}
    fleet = Fleet(1, np.arange(1), found, scores(found), close, {0: "host-0"}, {}, {})
    assert judge(fleet).bottleneck == "cpu"


def test_a_suggestion_names_its_host_and_what_no_script_does_is_told_once() -> None:
    found = verdict([LOSSY, BURNER, LOSSY, LOSSY], close=[0, 1, 2, 3])
    told = [(one.host, one.issue_type, one.also_hosts) for one in found.suggestions]
    assert told[:2] == [("host-1", "cpu_high", []), ("host-0", None, ["host-2", "host-3"])]


def test_it_says_how_many_hosts_it_is_about() -> None:
    assert "Of 5 monitored hosts 2 were looked at" in verdict([{}, LOSSY], more=3).summary
    assert verdict([{}, {}]).summary == "Nothing that is measured holds any of 2 hosts back."


def test_the_hosts_to_look_at_closely_are_the_worst_by_their_means_or_their_events() -> None:
    ids = np.arange(1, 101)
    worst = np.full((100, 2), 10.0)
    worst[[3, 7], 1] = 99.0, 70.0
    chosen = to_look_at(ids, worst, {50: "critical", 200: "high", 8: "low"})
    assert chosen[:4] == [4, 50, 200, 8]
    assert len(chosen) == MOST_CLOSE


def test_of_hosts_that_are_as_bad_those_are_told_that_are_named() -> None:
    worst = host({"swap_percent": 50, "swap_in_bytes_per_second": 2**30})
    means = np.repeat(np.concatenate((worst.averages.recent, host({}).averages.recent)), 500, axis=0)
    ids, found = np.arange(1000), values(Averages(means, means))
    close = to_look_at(ids, scores(found), {})
    names = {one: f"host-{one}" for one in {*close, *to_name(ids, scores(found))}}
    fleet = Fleet(1000, ids, found, scores(found), dict.fromkeys(close, judge_host(worst)), names, {}, {})
    assert judge(fleet).findings[0].value == 500


def test_of_hosts_that_are_as_bad_those_come_first_that_something_is_suggested_for() -> None:
    found = verdict([{"cpu_percent": 99}] * 30, close=range(20, 28))
    assert [one.host for one in found.findings[0].hosts] == [f"host-{place}" for place in range(20, 25)]


def test_a_silent_host_holds_nothing_back_but_is_to_be_looked_for() -> None:
    silent = judge_host(host(BURNER | {"silent_seconds": 7200, "event host_down": {"severity": "critical"}}))
    nothing = np.full((1, len(RESOURCES)), np.nan)
    found = judge(Fleet(2, np.array([1]), nothing, nothing, {2: silent}, {2: "host-2"}, {}, {}))
    assert (found.bottleneck, found.findings) == ("none", [])
    assert found.summary.startswith("Nothing that is measured holds any of 1 hosts back. Of 2 monitored hosts 1 were")
    assert [one.host for one in found.suggestions] == ["host-2"]


def test_hosts_that_are_down_do_not_hide_those_that_something_can_be_told_of() -> None:
    busy = np.full((3, 1), 90.0)
    assert to_look_at(np.arange(1, 4), busy, dict.fromkeys(range(10, 30), "critical")) == [10, 11, 12, 13, 1, 2, 3]
