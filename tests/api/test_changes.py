import json

import pytest

from api.changes import MAX_IDS, Changes, merge, of_host, read_announcement, server_sent_events

MANY = set(range(MAX_IDS))


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (b'{"snapshots": [2, 1, 2]}', {"snapshots": {1, 2}}),
        (b'{"snapshots": null, "events": []}', {"snapshots": None, "events": set()}),
        (b'{"scripts": {"7": "ready"}}', {"scripts": {7: "ready"}}),
        (b'{"scripts": null}', {"scripts": None}),
        # What a later version may announce besides.
        (b'{"scripts": {"7": "asleep"}, "policies": [1]}', {"scripts": {7: "asleep"}}),
        # What no worker sends.
        (b'{"snapshots": ["x"]}', {}),
        (b'{"scripts": [7]}', {}),
        (b"[]", {}),
        (b"\xff", {}),
        (b"", {}),
    ],
)
def test_an_announcement_is_read_as_ids_by_topic(message: bytes, change: Changes) -> None:
    assert read_announcement(message) == change


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"events": {1}}, {}, {"events": {1}}),
        ({"events": {1}}, {"events": {2}}, {"events": {1, 2}}),
        ({"events": {1}}, {"snapshots": {1}}, {"events": {1}, "snapshots": {1}}),
        ({"events": {1}}, {"events": None}, {"events": None}),
        ({"events": None}, {"events": {1}}, {"events": None}),
        ({"events": MANY}, {"events": {0}}, {"events": MANY}),
        ({"scripts": {7: "queued", 8: "ready"}}, {"scripts": {7: "running"}}, {"scripts": {7: "running", 8: "ready"}}),
        ({"scripts": {7: "queued"}}, {"scripts": None}, {"scripts": None}),
        ({"events": MANY}, {"events": {MAX_IDS}}, {"events": None}),
    ],
)
def test_two_changes_are_told_as_one(one: Changes, other: Changes, both: Changes) -> None:
    assert merge(one, other) == both


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"events": {1, 2}, "snapshots": {2}}, {"events": {1}}),
        ({"events": None}, {"events": None}),
        ({"events": set()}, {}),
        # A script names no host.
        ({"scripts": {5: "ready"}}, {"scripts": {5: "ready"}}),
    ],
)
def test_who_follows_a_host_is_told_what_may_concern_it(change: Changes, told: Changes) -> None:
    assert of_host(change, 1) == told


def test_each_topic_is_an_event_of_its_own() -> None:
    sent = server_sent_events({"snapshots": {2, 1}, "events": None, "scripts": {3: "failed"}}).decode()
    blocks = [block.split("\n") for block in sent.split("\n\n")[:-1]]
    assert [name for name, _ in blocks] == ["event: snapshots", "event: events", "event: scripts"]
    data = [json.loads(line.removeprefix("data: ")) for _, line in blocks]
    assert data == [{"hosts": [1, 2]}, {"hosts": None}, {"scripts": [3], "states": {"3": "failed"}}]
