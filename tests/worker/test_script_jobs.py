"""Script jobs: made with their event, rendered once, taken up again."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import pytest
import redis
from sqlalchemy import Engine

from store import remedies, scripts
from store import script_jobs as stored_jobs
from store.engine import reading, writing
from store.events import EventFilter, page
from store.scripts import Script
from tests.worker.conftest import NOW, SimulatedHost
from wire import keys
from wire.snapshot import Details, Filesystem, Process
from worker import duties
from worker.duties import Swept
from worker.inbox import Inbox
from worker.ingest import Drained, drain
from worker.remedies.templates import Template, load_all
from worker.script_jobs import publish_catalogue, remedy_of, render_jobs

TEMPLATES = load_all()
BURNER = Process(4711, NOW - 100, "burner", "root", 190.0, 1.0, 1e6)
FULL = Filesystem("/data", "/dev/sdb", "ext4", 1e9, 0.99e9, 99.0)
BUSY = Details(processes_by_cpu=(BURNER,), processes_by_memory=(BURNER,), platform="linux")


def drain_all(engine: Engine, inbox: Inbox, now: float = NOW) -> Drained:
    return drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, remedy_of(TEMPLATES))


def open_cpu_spike(engine: Engine, inbox: Inbox, host: SimulatedHost, details: Details = BUSY) -> list[int]:
    """Have the host's CPU leap; return the script jobs that were queued."""
    host.report(NOW - 20, details, cpu_percent=10.0)
    host.report(NOW - 10, details, cpu_percent=99.0)
    return drain_all(engine, inbox).script_jobs


def ask(engine: Engine, mount: str = "/data") -> int:
    """Ask for a script as a person does."""
    with writing(engine) as connection:
        return scripts.request(
            connection,
            issue_type="disk_full",
            script_type="bash",
            host_id=None,
            event_id=None,
            given={"mount": mount},
            now=NOW,
        )


def find(engine: Engine, script_id: int) -> Script:
    with reading(engine) as connection:
        script = scripts.find(connection, script_id)
    assert script is not None
    return script


def test_an_event_that_opens_queues_the_script_of_its_remedy(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    (job,) = open_cpu_spike(engine, inbox, host)
    script = find(engine, job)
    with reading(engine) as connection:
        (event,) = page(connection, EventFilter(type="cpu_spike"), limit=9)
    assert (script.state, script.issue_type, script.automatic) == ("queued", "cpu_high", True)
    assert (script.event_id, script.host_id, event.script_id) == (event.id, host.id, job)


def test_the_next_drains_queue_no_second_one(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    open_cpu_spike(engine, inbox, host)
    host.report(NOW, BUSY, cpu_percent=98.0)
    assert drain_all(engine, inbox, NOW + 10).script_jobs == []


def test_an_event_without_a_remedy_has_no_script(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    host.report(NOW - 100)
    drain_all(engine, inbox, NOW - 100)
    swept = [duties.sweep(engine, inbox, NOW - 100 + 5 * turn) for turn in range(10)]
    assert [down for one in swept for down in one.down] == [host.id]
    assert [job for one in swept for job in one.script_jobs] == []
    with reading(engine) as connection:
        assert scripts.page(connection, limit=9) == []


def test_a_drain_that_is_rolled_back_leaves_no_job(
    engine: Engine, inbox: Inbox, host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("before the commit")

    monkeypatch.setattr("store.positions.count_drain", fail)
    with pytest.raises(RuntimeError):
        open_cpu_spike(engine, inbox, host)
    with reading(engine) as connection:
        assert scripts.page(connection, limit=9) == []


def test_a_job_becomes_a_script_with_all_that_is_known_of_it(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    (job,) = open_cpu_spike(engine, inbox, host)
    assert render_jobs(engine, TEMPLATES, [job], NOW) == {job: "ready"}
    script = find(engine, job)
    assert (script.state, script.script_type, script.ready_at) == ("ready", "bash", NOW)
    assert script.filename == f"fleetmedic-cpu_high-event-{script.event_id}.sh"
    assert script.run_command == f"bash {script.filename}"
    assert script.parameters
    assert (script.parameters["pid"], script.parameters["measure_seconds"]) == (4711, 3)
    assert script.content
    assert "FM_PID='4711'" in script.content
    assert script.sha256
    assert len(script.sha256) == 64


def test_the_same_event_gives_the_same_bytes(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    (job,) = open_cpu_spike(engine, inbox, host)
    first = find(engine, job)
    with writing(engine) as connection:
        again = scripts.request(
            connection,
            issue_type=first.issue_type,
            script_type="bash",
            host_id=first.host_id,
            event_id=first.event_id,
            given={},
            now=NOW + 500,
        )
    render_jobs(engine, TEMPLATES, [job], NOW)
    render_jobs(engine, TEMPLATES, [again], NOW + 500)
    assert find(engine, job).content == find(engine, again).content


@pytest.mark.parametrize(
    ("platform", "script_type"), [("linux", "bash"), ("darwin", "bash"), ("windows", "powershell")]
)
def test_the_type_is_that_of_the_hosts_platform(
    engine: Engine, inbox: Inbox, host: SimulatedHost, platform: str, script_type: str
) -> None:
    (job,) = open_cpu_spike(engine, inbox, host, msgspec.structs.replace(BUSY, platform=platform))
    render_jobs(engine, TEMPLATES, [job], NOW)
    assert find(engine, job).script_type == script_type
    assert find(engine, job).state == "ready"


def test_a_job_that_is_done_is_passed_over(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    (job,) = open_cpu_spike(engine, inbox, host)
    render_jobs(engine, TEMPLATES, [job], NOW)
    assert render_jobs(engine, TEMPLATES, [job, 10**9], NOW + 1) == {}
    assert find(engine, job).ready_at == NOW


def test_a_job_whose_parameters_are_no_good_fails_and_says_which(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    bad = Filesystem("not-absolute", "/dev/sdb", "ext4", 1e9, 0.99e9, 99.0)
    for moment in (NOW - 20, NOW - 10):
        host.report(moment, Details(filesystems=(FULL, bad), platform="linux"), disk_percent=99.0)
    jobs = drain_all(engine, inbox).script_jobs
    assert sorted(render_jobs(engine, TEMPLATES, jobs, NOW)) == sorted(jobs)
    by_state = {find(engine, job).state: find(engine, job) for job in jobs}
    assert (by_state["ready"].parameters or {})["mount"] == "/data"
    assert "mount must be" in (by_state["failed"].error or "")


def test_a_remedy_that_breaks_is_tried_five_times_beside_one_that_does_not(
    engine: Engine, inbox: Inbox, new_host: Callable[[], SimulatedHost]
) -> None:
    whole, broken = new_host(), new_host()
    (good,) = open_cpu_spike(engine, inbox, whole)
    (bad,) = open_cpu_spike(engine, inbox, broken)
    with writing(engine) as connection:
        connection.exec_driver_sql(f"UPDATE scripts SET issue_type = 'broken' WHERE id = {bad:d}")
    templates = {**TEMPLATES, "broken": Template(TEMPLATES["cpu_high"].remedy, {"bash": None})}  # type: ignore[dict-item]
    assert render_jobs(engine, templates, [bad, good], NOW) == {good: "ready", bad: "queued"}
    assert [render_jobs(engine, templates, [bad], NOW) for _ in range(3)] == [{bad: "queued"}] * 2 + [{bad: "failed"}]
    assert (find(engine, bad).state, find(engine, bad).attempts, find(engine, good).state) == ("failed", 5, "ready")
    assert "its log tells why" in (find(engine, bad).error or "")


def test_a_job_that_ends_its_worker_each_time_is_given_up_and_takes_no_other_with_it(engine: Engine) -> None:
    class Killed(BaseException):
        """The end of a process, as its database sees it."""

    def worker(jobs: list[int]) -> None:
        def die_of_deadly(begun: Sequence[int]) -> None:
            if deadly in begun:
                raise Killed

        with suppress(Killed):
            became.update(render_jobs(engine, TEMPLATES, jobs, NOW, die_of_deadly))

    before, deadly, after = (ask(engine, mount=mount) for mount in ("/a", "/b", "/c"))
    became: dict[int, str] = {}
    # A message whose worker died is delivered again.
    for _ in range(6):
        worker([before, deadly, after])
    assert became == {deadly: "failed", after: "ready"}
    assert find(engine, before).state == "ready"
    assert find(engine, deadly).error == "5 attempts came to no end: the workers' logs tell why"


def test_a_job_that_is_cancelled_while_a_worker_has_it_in_hand_becomes_no_script(engine: Engine) -> None:
    job = ask(engine)

    def cancel(begun: Sequence[int]) -> None:
        with writing(engine) as connection:
            assert [scripts.cancel(connection, one) for one in begun] == [True]

    assert render_jobs(engine, TEMPLATES, [job], NOW, cancel) == {}
    assert (find(engine, job).state, find(engine, job).content) == ("cancelled", None)


def test_of_many_in_hand_only_the_one_that_is_cancelled_becomes_no_script(engine: Engine) -> None:
    before, cancelled, after = (ask(engine, mount=mount) for mount in ("/a", "/b", "/c"))

    def cancel(_: Sequence[int]) -> None:
        with writing(engine) as connection:
            assert scripts.cancel(connection, cancelled)

    became = render_jobs(engine, TEMPLATES, [before, cancelled, after], NOW, cancel)
    assert became == {before: "ready", after: "ready"}
    assert (find(engine, cancelled).state, find(engine, cancelled).content) == ("cancelled", None)


def test_who_is_told_of_a_job_renders_what_else_waits(engine: Engine) -> None:
    longest, asked, rest = (ask(engine, mount=mount) for mount in ("/a", "/b", "/c"))
    assert render_jobs(engine, TEMPLATES, [asked], NOW, others=1) == {longest: "ready", asked: "ready"}
    assert render_jobs(engine, TEMPLATES, [asked], NOW, others=9) == {}
    assert find(engine, rest).state == "queued"


def test_who_follows_is_told_of_a_job_before_it_is_made(engine: Engine) -> None:
    job, other = ask(engine, mount="/a"), ask(engine, mount="/b")
    told: list[int] = []
    states: list[str] = []

    def begun(jobs: Sequence[int]) -> None:
        told.extend(jobs)
        states.extend(find(engine, one).state for one in jobs)

    assert render_jobs(engine, TEMPLATES, [job, other], NOW, begun) == {job: "ready", other: "ready"}
    assert (told, states) == ([job, other], ["running", "running"])


def test_a_job_that_nobody_took_is_rung_for_again_until_it_is_done(
    engine: Engine, inbox: Inbox, host: SimulatedHost
) -> None:
    (job,) = open_cpu_spike(engine, inbox, host)

    def rung_at(now: float) -> list[int]:
        with writing(engine) as connection:
            return stored_jobs.take_overdue(connection, now - 10, 100, now)

    assert rung_at(NOW + 5) == []
    assert rung_at(NOW + 11) == [job]
    assert rung_at(NOW + 15) == []
    assert rung_at(NOW + 22) == [job]
    render_jobs(engine, TEMPLATES, [job], NOW + 22)
    assert rung_at(NOW + 50) == []


def test_a_job_whose_worker_ended_in_the_middle_is_rung_for_again(engine: Engine) -> None:
    job = ask(engine)
    with writing(engine) as connection:
        stored_jobs.begin(connection, [job], 0)
        assert stored_jobs.take_overdue(connection, NOW + 5, 100, NOW + 15) == [job]
    assert render_jobs(engine, TEMPLATES, [job], NOW + 15) == {job: "ready"}


def test_the_sweep_finds_what_was_left(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    (job,) = open_cpu_spike(engine, inbox, host)
    assert duties.sweep(engine, inbox, NOW + 5) == Swept()
    assert duties.sweep(engine, inbox, NOW + 11).script_jobs == [job]


def test_the_catalogue_is_published_where_it_is_another(engine: Engine) -> None:
    assert publish_catalogue(engine, TEMPLATES, NOW)
    assert not publish_catalogue(engine, TEMPLATES, NOW + 5)
    with writing(engine) as connection:
        connection.exec_driver_sql("""UPDATE remedies SET document = '{"of": "another version"}'""")
    assert publish_catalogue(engine, TEMPLATES, NOW + 10)
    with reading(engine) as connection:
        assert {remedy.issue_type for remedy in remedies.catalogue(connection)} == set(TEMPLATES)


def test_live_pages_hear_of_snapshots_events_and_scripts(
    engine: Engine, inbox: Inbox, host: SimulatedHost, client: "redis.Redis"
) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(keys.CHANGES)
        listening.get_message(timeout=5)
        (job,) = open_cpu_spike(engine, inbox, host)
        inbox.hand_over({})
        inbox.hand_over({job: "running"})
        heard = [listening.get_message(timeout=5) for _ in range(2)]
    messages = [msgspec.json.decode(message["data"]) for message in heard if message]
    assert messages == [{"snapshots": [host.id], "events": [host.id]}, {"scripts": {str(job): "running"}}]


def test_who_waits_for_a_script_is_told(inbox: Inbox, client: "redis.Redis") -> None:
    inbox.hand_over({6: "running", 7: "ready"})
    assert not client.exists(keys.script_done(6))
    assert client.blpop([keys.script_done(7)], timeout=5)
    inbox.hand_over({8: "failed"})
    assert 0 < client.ttl(keys.script_done(8)) <= 60
