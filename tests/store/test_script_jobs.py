import pytest
from sqlalchemy import Engine

from store import scripts
from store.engine import writing
from store.enrollment import enroll
from store.script_jobs import begin, begin_again, fail, finish, put_back, request_for_open_events, take, take_overdue
from tests.store.script_requests import NOW, RENDERED, find, find_in, open_event, request, request_automatic, tell
from wire.snapshot import Details, encode_details


def test_only_what_is_not_done_becomes_a_script(engine: Engine) -> None:
    queued, running, cancelled, failed = (request(engine) for _ in range(4))
    with writing(engine) as connection:
        begin(connection, [running], 0)
        scripts.cancel(connection, cancelled)
        fail(connection, failed, "no")
        finish(connection, dict.fromkeys([queued, running, cancelled, failed], RENDERED), NOW)
        states = [find_in(connection, one).state for one in (queued, running, cancelled, failed)]
    assert states == ["ready", "ready", "cancelled", "failed"]


def test_what_is_cancelled_is_neither_queued_again_nor_failed(engine: Engine) -> None:
    running, cancelled = request(engine), request(engine)
    with writing(engine) as connection:
        begin(connection, [running, cancelled], 0)
        scripts.cancel(connection, cancelled)
        assert (put_back(connection, running), put_back(connection, cancelled)) == (True, False)
        assert (fail(connection, running, "no"), fail(connection, cancelled, "no")) == (True, False)
        assert [find_in(connection, one).state for one in (running, cancelled)] == ["failed", "cancelled"]


def test_attempts_are_counted_until_it_is_done(engine: Engine) -> None:
    script_id = request(engine)
    with writing(engine) as connection:
        assert begin(connection, [script_id], 0) == ([script_id], [])
        assert (find_in(connection, script_id).state, find_in(connection, script_id).attempts) == ("running", 1)
        assert begin_again(connection, script_id) == 2
        assert (find_in(connection, script_id).state, find_in(connection, script_id).attempts) == ("running", 2)
        finish(connection, {script_id: RENDERED}, NOW)
        assert (begin(connection, [script_id], 0), begin_again(connection, script_id)) == (([], []), 0)


def test_a_job_that_was_begun_before_is_begun_again_only_where_that_is_wanted(engine: Engine) -> None:
    fresh, tried = request(engine), request(engine)
    with writing(engine) as connection:
        begin(connection, [tried], 0)
        put_back(connection, tried)
        assert find_in(connection, tried).state == "queued"
        assert begin(connection, [fresh, tried], 9) == ([fresh], [tried])
        assert (find_in(connection, tried).state, find_in(connection, tried).attempts) == ("queued", 1)
        assert begin_again(connection, tried) == 2


def test_who_is_told_of_a_job_begins_what_else_waits_the_longest_too(engine: Engine) -> None:
    later, earlier, latest = (request(engine, now=NOW + second) for second in (1, 0, 2))
    tried, done, asked, last = (request(engine, now=NOW - 9 + turn) for turn in range(4))
    with writing(engine) as connection:
        begin(connection, [tried], 0)
        finish(connection, {done: RENDERED}, NOW)
        assert begin(connection, [done], 9) == ([], [])
        assert begin(connection, [last, tried, done], 0) == ([last], [tried])
        assert begin(connection, [asked], 1) == ([earlier, asked], [])
        assert begin(connection, [asked], 1) == ([later], [asked])
        assert begin(connection, [latest], 9) == ([latest], [])


def test_two_workers_begin_different_jobs(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: a second one waits")
    first, second, third = (request(engine, now=NOW + turn) for turn in range(3))
    with writing(engine) as one, writing(engine) as other:
        assert begin(one, [first], 1) == ([first, second], [])
        assert begin(other, [first], 9) == ([third], [])
        assert begin_again(other, second) == 0


def test_each_open_event_with_a_remedy_gets_one_script(engine: Engine, host_id: int) -> None:
    full, leapt = open_event(engine, host_id), open_event(engine, host_id, "cpu_spike", "")
    open_event(engine, host_id, "host_cloned", "")
    queued = [find(engine, script_id) for script_id in request_automatic(engine, host_id)]
    assert [(one.event_id, one.issue_type, one.automatic, one.given) for one in queued] == [
        (full, "disk_full", True, {}),
        (leapt, "cpu_high", True, {}),
    ]
    assert request_automatic(engine, host_id) == []


def test_each_host_gets_the_kind_of_script_that_it_runs(engine: Engine) -> None:
    kinds = {"linux": "bash", "darwin": "bash", "windows": "powershell", "": "bash"}
    with writing(engine) as connection:
        hosts = {platform: enroll(connection, f"a-{platform}", now=NOW).id for platform in kinds}
    for platform, host_id in hosts.items():
        tell(engine, host_id, bytes(encode_details(Details(platform=platform))))
        open_event(engine, host_id)
    queued = [find(engine, script_id) for script_id in request_automatic(engine, *hosts.values())]
    assert {one.host_id: one.script_type for one in queued} == {
        hosts[platform]: script_type for platform, script_type in kinds.items()
    }


def test_where_nothing_has_a_remedy_nothing_is_queued(engine: Engine, host_id: int) -> None:
    open_event(engine, host_id)
    with writing(engine) as connection:
        assert request_for_open_events(connection, [host_id], {}, NOW) == []


def test_a_job_is_taken_with_what_its_event_tells(engine: Engine, host_id: int) -> None:
    open_event(engine, host_id)
    (script_id,) = request_automatic(engine, host_id)
    with writing(engine) as connection:
        (job,) = take(connection, [script_id])
    assert (job.id, job.host, job.subject, job.evidence) == (script_id, "web-1", "/data", {"why": "full"})


def test_only_jobs_that_are_not_done_are_taken(engine: Engine) -> None:
    ready, failed, queued = (request(engine) for _ in range(3))
    with writing(engine) as connection:
        finish(connection, {ready: RENDERED}, NOW)
        fail(connection, failed, "no")
        assert [job.id for job in take(connection, [ready, failed, queued])] == [queued]


def test_what_another_worker_has_in_hand_is_passed_over(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: a second one waits")
    first, second = request(engine), request(engine)
    with writing(engine) as one, writing(engine) as other:
        take(one, [first])
        assert [job.id for job in take(other, [first, second])] == [second]


def test_overdue_jobs_are_told_of_again_the_longest_waiting_first(engine: Engine) -> None:
    later, earlier, fresh = (request(engine, now=NOW + second) for second in (1, 0, 60))
    with writing(engine) as connection:
        assert take_overdue(connection, NOW + 10, 1, NOW + 20) == [earlier]
        assert take_overdue(connection, NOW + 10, 9, NOW + 20) == [later]
        assert take_overdue(connection, NOW + 10, 9, NOW + 20) == []
        assert take_overdue(connection, NOW + 100, 9, NOW + 200)[-1] == fresh
