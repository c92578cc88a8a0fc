from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from store import events, scripts
from store.engine import reading, writing
from store.schema import script_templates
from store.script_jobs import begin, fail, finish, take
from tests.store.script_requests import (
    NOW,
    RENDERED,
    TEMPLATE,
    find,
    find_in,
    in_store,
    open_event,
    request,
    request_automatic,
    tell,
)
from wire.snapshot import Details, encode_details


def test_what_is_asked_for_waits_as_it_was_asked(engine: Engine, host_id: int) -> None:
    given = {"mount": "/data", "older_than_days": 3, "include_containers": True}
    script = find(engine, request(engine, host_id, script_type="powershell", given=given))
    assert (script.issue_type, script.script_type, script.host_id, script.host) == (
        "disk_full",
        "powershell",
        host_id,
        "web-1",
    )
    assert (script.state, script.automatic, script.given, script.requested_at) == ("queued", False, given, NOW)
    assert (script.content, script.parameters, script.ready_at, script.error) == (None, None, None, None)


def test_a_script_tells_who_asked_for_it(engine: Engine, host_id: int) -> None:
    open_event(engine, host_id)
    (automatic,) = request_automatic(engine, host_id)
    asked = [find(engine, script_id) for script_id in (request(engine, requested_by="admin token"), automatic)]
    assert [script.requested_by for script in asked] == ["admin token", "the worker"]


def test_a_script_may_be_of_no_host_and_no_event(engine: Engine) -> None:
    script = find(engine, request(engine))
    assert (script.host_id, script.host, script.event_id) == (None, None, None)


def test_a_script_that_does_not_exist_is_none(engine: Engine) -> None:
    assert in_store(engine, lambda connection: scripts.find(connection, 1)) is None


def test_what_is_rendered_is_kept(engine: Engine, host_id: int) -> None:
    first, second = request(engine, host_id), request(engine, host_id)
    with writing(engine) as connection:
        finish(connection, {first: RENDERED, second: RENDERED | {"filename": "other.sh"}}, NOW + 1)
    script = find(engine, first)
    told = {name: value for name, value in RENDERED.items() if name not in ("template", "assignments")}
    assert {name: getattr(script, name) for name in told} == told
    assert (script.content or "").splitlines() == [
        "#!/usr/bin/env bash",
        "# Values, written by Fleetmedic; all else is the remedy as it stands.",
        "FM_MOUNT='/'",
        "echo done",
    ]
    assert (script.state, script.ready_at, find(engine, second).filename) == ("ready", NOW + 1, "other.sh")


def test_a_job_that_failed_says_why(engine: Engine) -> None:
    script_id = request(engine)
    with writing(engine) as connection:
        fail(connection, script_id, "mount is needed")
    script = find(engine, script_id)
    assert (script.state, script.error, script.ready_at) == ("failed", "mount is needed", None)


def test_what_many_scripts_share_is_stored_once(engine: Engine) -> None:
    ids = [request(engine) for _ in range(3)]
    blocks = dict(zip(ids, ("FM_MOUNT='/a'", "FM_MOUNT='/b'", "FM_MOUNT='/c'"), strict=True))
    with writing(engine) as connection:
        for one, block in blocks.items():
            finish(connection, {one: RENDERED | {"assignments": block}}, NOW)
        assert connection.execute(select(script_templates.c.content)).scalars().all() == [TEMPLATE]
    for one, block in blocks.items():
        assert f"\n{block}\n" in (find(engine, one).content or "")


def test_the_same_request_is_the_same_job_until_that_is_done(engine: Engine, host_id: int) -> None:
    given = {"mount": "/data", "older_than_days": 3}
    asked = {"given": given, "event_id": open_event(engine, host_id)}
    first = request(engine, host_id, **asked)
    assert request(engine, host_id, given=dict(reversed(given.items())), event_id=asked["event_id"]) == first
    with writing(engine) as connection:
        begin(connection, [first], 0)
    assert request(engine, host_id, **asked) == first
    with writing(engine) as connection:
        finish(connection, {first: RENDERED}, NOW)
    assert request(engine, host_id, **asked) != first


@pytest.mark.parametrize(
    "change",
    [
        {"issue_type": "cpu_high"},
        {"script_type": "powershell"},
        {"host_id": None},
        {"given": {"mount": "/data", "older_than_days": 4}},
        {"given": {"mount": "/data", "older_than_days": "3"}},
        {"given": {}},
    ],
)
def test_another_request_is_another_job(engine: Engine, host_id: int, change: dict[str, Any]) -> None:
    asked = {"given": {"mount": "/data", "older_than_days": 3}, "host_id": host_id}
    assert request(engine, **asked | change) != request(engine, **asked)
    assert request(engine, **asked, event_id=open_event(engine, host_id)) != request(engine, **asked)


def test_of_two_that_ask_at_the_same_moment_both_get_one_job(engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: request(engine, given={"mount": "/data"}), range(8)))
    assert len(set(ids)) == 1


def test_only_what_is_not_done_can_be_cancelled(engine: Engine) -> None:
    queued, running, ready, failed = (request(engine) for _ in range(4))
    with writing(engine) as connection:
        begin(connection, [running], 0)
        finish(connection, {ready: RENDERED}, NOW)
        fail(connection, failed, "no")
        assert [scripts.cancel(connection, one) for one in (queued, running, ready, failed, 10**9)] == [
            True,
            True,
            False,
            False,
            False,
        ]
        assert take(connection, [queued, running]) == []
        assert [find_in(connection, one).state for one in (queued, running)] == ["cancelled", "cancelled"]


def test_what_failed_or_was_cancelled_is_queued_again_as_it_was_asked_for(engine: Engine) -> None:
    cancelled, failed, ready, queued = (request(engine) for _ in range(4))
    with writing(engine) as connection:
        begin(connection, [failed], 0)
        fail(connection, failed, "no")
        scripts.cancel(connection, cancelled)
        finish(connection, {ready: RENDERED}, NOW)
        retried = [scripts.retry(connection, one, NOW + 9) for one in (cancelled, failed, ready, queued)]
        assert retried == [True, True, False, False]
        again = find_in(connection, failed)
    assert (again.state, again.error, again.attempts, again.requested_at) == ("queued", None, 0, NOW)


def test_a_job_is_not_queued_again_beside_one_for_the_same(engine: Engine) -> None:
    cancelled = request(engine, given={})
    with writing(engine) as connection:
        scripts.cancel(connection, cancelled)
    again = request(engine, given={})
    with writing(engine) as connection:
        assert not scripts.retry(connection, cancelled, NOW)
        finish(connection, {again: RENDERED}, NOW)
        assert scripts.retry(connection, cancelled, NOW)


def test_pages_are_newest_first_and_without_content(engine: Engine, host_id: int) -> None:
    ids = [request(engine, host_id) for _ in range(3)]
    with writing(engine) as connection:
        finish(connection, {ids[2]: RENDERED}, NOW)
    with reading(engine) as connection:
        first = scripts.page(connection, limit=2)
        second = scripts.page(connection, limit=2, before_id=first[-1].id)
    assert [script.id for script in [*first, *second]] == ids[::-1]
    assert (first[0].filename, first[0].content) == ("fix.sh", None)


def test_a_page_has_only_what_is_wanted(engine: Engine, host_id: int) -> None:
    event_id = open_event(engine, host_id)
    plain = request(engine)
    of_host = request(engine, host_id, issue_type="cpu_high")
    of_event = request(engine, host_id, event_id=event_id)

    def ids(**wanted: Any) -> list[int]:
        return [one.id for one in in_store(engine, lambda connection: scripts.page(connection, limit=9, **wanted))]

    assert ids(host_id=host_id) == [of_event, of_host]
    assert ids(event_id=event_id) == [of_event]
    assert ids(issue_type="disk_full") == [of_event, plain]
    assert ids(issue_type="disk_full", host_id=host_id) == [of_event]


def test_scripts_are_found_by_the_sha_256_of_their_file(engine: Engine) -> None:
    ids = [request(engine) for _ in range(3)]
    files = dict(zip(ids, ("a" * 64, "b" * 64, "a" * 64), strict=True))
    with writing(engine) as connection:
        finish(connection, {one: RENDERED | {"sha256": sha256} for one, sha256 in files.items()}, NOW)
        found = [scripts.page(connection, limit=9, sha256=one * 64) for one in "abc"]
    assert [[script.id for script in page] for page in found] == [[ids[2], ids[0]], [ids[1]], []]


def test_an_event_knows_the_script_that_came_by_itself_and_no_other(engine: Engine, host_id: int) -> None:
    event_id = open_event(engine, host_id)

    def own_script() -> int | None:
        event = in_store(engine, lambda connection: events.find(connection, event_id))
        assert event is not None
        return event.script_id

    request(engine, host_id, event_id=event_id)
    assert own_script() is None
    (automatic,) = request_automatic(engine, host_id)
    assert own_script() == automatic


@pytest.mark.parametrize(
    ("details", "platform"),
    [
        (bytes(encode_details(Details(platform="windows"))), "windows"),
        (bytes(encode_details(Details())), ""),
        (msgspec.msgpack.encode({"platform": "windows"}), ""),
        (b"", ""),
    ],
)
def test_a_platform_is_what_the_details_say(engine: Engine, host_id: int, details: bytes, platform: str) -> None:
    tell(engine, host_id, details)
    assert in_store(engine, lambda connection: scripts.platform(connection, host_id)) == platform


def test_a_host_that_never_spoke_has_no_platform(engine: Engine, host_id: int) -> None:
    assert in_store(engine, lambda connection: scripts.platform(connection, host_id)) == ""
