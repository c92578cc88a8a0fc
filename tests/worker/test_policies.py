"""Which policy wins, and that drains and sweeps heed it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, insert, select, update

from store import policies
from store.engine import reading, writing
from store.policies import Governing, Scope, Target
from store.policy_types import TYPES, Settings
from store.schema import events, tags
from store.schema import policies as schema_policies
from tests.worker.conftest import NOW, SimulatedHost
from tests.worker.snapshots import batch, filesystem, process, seen
from wire import keys
from wire.snapshot import Details, Service
from worker import duties
from worker.detection.host_limits import BatchLimits, HostLimits, matches
from worker.detection.limits import DEFAULTS, HOST_DOWN
from worker.detection.rules import RULES
from worker.evaluation import Evaluation, evaluate
from worker.events import open_track
from worker.inbox import Inbox
from worker.ingest import drain
from worker.policies import batch_limits, fields

WEB, DB, PLAIN = 1, 2, 3
TAGS = [(WEB, "web"), (WEB, "eu"), (DB, "eu")]


def policy(of: str, event_type: str = "disk_full", subject: str = "", **settings: Any) -> Governing:
    """Return a policy of the fleet, of ``tag NAME`` or of ``host ID``."""
    scope, _, name = of.partition(" ")
    kind: Scope = "tag" if scope == "tag" else "host" if scope == "host" else "fleet"
    target = Target(kind, name if kind == "tag" else "", int(name) if kind == "host" else None, event_type, subject)
    return Governing(1, target, Settings(**settings))


@pytest.mark.parametrize(
    ("given", "host", "subject", "expected"),
    [
        pytest.param([], WEB, "/", 85, id="without policies the default"),
        pytest.param([policy("fleet", limit=70)], PLAIN, "/", 70, id="the fleet's is everybody's"),
        pytest.param([policy("fleet", limit=70), policy("tag eu", limit=60)], DB, "/", 60, id="a tag's over it"),
        pytest.param([policy("fleet", limit=70), policy("tag eu", limit=60)], PLAIN, "/", 70, id="of its hosts only"),
        pytest.param([policy("host 1", limit=50), policy("tag eu", limit=60)], WEB, "/", 50, id="a host's over that"),
        pytest.param([policy("host 1", limit=50)], DB, "/", 85, id="of that host only"),
        pytest.param([policy("tag web", limit=50), policy("tag eu", limit=60)], WEB, "/", 60, id="the first tag's"),
        pytest.param([policy("tag eu", limit=60), policy("tag web", limit=50)], WEB, "/", 60, id="in any order"),
        pytest.param(
            [policy("fleet", subject="/srv", limit=95), policy("fleet", limit=70)], DB, "/srv", 95, id="this mount's"
        ),
        pytest.param(
            [policy("fleet", subject="/srv", limit=95), policy("fleet", limit=70)], DB, "/", 70, id="not another's"
        ),
        pytest.param(
            [policy("fleet", subject="/srv*", limit=95), policy("fleet", subject="/srv/a", limit=96)],
            DB,
            "/srv/a",
            96,
            id="in full over a pattern",
        ),
        pytest.param(
            [policy("fleet", subject="/srv/*", limit=95), policy("fleet", subject="*", limit=96)],
            DB,
            "/srv/a",
            95,
            id="a longer pattern over a shorter one",
        ),
        pytest.param(
            [policy("fleet", subject="/srv", limit=95), policy("host 1", limit=70)], WEB, "/srv", 70, id="nearest first"
        ),
        pytest.param(
            [policy("tag web", subject="/srv", limit=95), policy("tag eu", limit=70)],
            WEB,
            "/srv",
            95,
            id="of two tags' the one for this mount",
        ),
        pytest.param(
            [policy("fleet", limit=70), policy("host 1", enabled=True)], WEB, "/", 70, id="setting by setting"
        ),
        pytest.param([policy("fleet", "cpu_high", limit=70)], WEB, "/", 85, id="of another type"),
    ],
)
def test_the_nearest_policy_wins(given: list[Governing], host: int, subject: str, expected: float) -> None:
    hosts = [WEB, DB, PLAIN]
    limits = batch_limits(given, hosts, TAGS)
    assert limits.of_host(hosts.index(host)).of("disk_full", subject).value == expected


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("java", "java (pid 77)", True),
        ("jav?", "java (pid 77)", True),
        ("java", "javac (pid 77)", False),
        ("java (pid 77)", "java (pid 77)", True),
        ("/srv/*", "/srv/a/b", True),
        ("/data[1]", "/data[1]", True),
        ("/data[1]*", "/data1", False),
        ("/data[1]*", "/data[1]/x", True),
        ("*", "\n\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}", True),
        ("*.?*", "a" * 1000, False),
        ("*a*a*a*a*a*a*a*b", "a" * 1000, False),
    ],
)
def test_a_pattern_is_a_name_or_has_wildcards_and_nothing_else(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


def test_hosts_under_the_same_policies_share_their_limits() -> None:
    limits = batch_limits([policy("tag eu", limit=60), policy("host 1", limit=50)], [WEB, DB, PLAIN, 9], TAGS)
    assert len(limits.kinds) == 3
    assert limits.gate("disk_full", np.array([0, 1, 2, 3, 3])).value.tolist() == [50, 60, 85, 85, 85]  # type: ignore[union-attr]


def test_the_gate_is_as_low_as_the_lowest_limit_of_a_subject() -> None:
    given = [policy("fleet", limit=90), policy("fleet", subject="/var", limit=40), policy("host 2", enabled=False)]
    web, db = (batch_limits(given, [host], ()) for host in (WEB, DB))
    assert (web.of_host(0).lowest("disk_full"), db.of_host(0).lowest("disk_full")) == (40, 40)
    assert batch_limits([policy("fleet", enabled=False)], [WEB], ()).of_host(0).lowest("disk_full") == float("inf")


def test_a_margin_never_keeps_an_event_open_for_ever() -> None:
    limit = batch_limits([policy("fleet", limit=4)], [WEB], ()).of_host(0).of("disk_full")
    assert (limit.value, limit.clear_margin) == (4, 2)


def test_a_time_needs_two_snapshots_and_none_needs_one() -> None:
    assert fields(Settings(opens_after_seconds=60)) == {"opens_after_seconds": 60, "minimum_snapshots": 2}
    assert fields(Settings(opens_after_seconds=0)) == {"opens_after_seconds": 0, "minimum_snapshots": 1}


def test_the_table_of_types_has_the_defaults_of_the_rules() -> None:
    in_code = {**DEFAULTS, "host_down": HOST_DOWN}
    assert {rule.type for rule in RULES} <= TYPES.keys() <= in_code.keys()
    for event_type, known in TYPES.items():
        shown = fields(Settings(**{name: bounds.default for name, bounds in known.numbers.items()}))
        shown.pop("minimum_snapshots", None)
        assert shown == {name: getattr(in_code[event_type], name) for name in shown}, event_type


class TestSubjects:
    FULL = Details(filesystems=(filesystem("/", 60), filesystem("/srv", 90)))

    def run(self, details: Details, *given: Governing, tracks: Any = (), rounds: int = 2) -> Evaluation:
        limits: BatchLimits = batch_limits(given, [WEB], ())
        said = [seen(NOW + 30 * step, details) for step in range(rounds)]
        return evaluate(batch(said), {0: list(tracks)}, lambda row: said[row].details, limits)

    def opened(self, details: Details, *given: Governing) -> dict[str, float | None]:
        return {change.subject: change.limit for change in self.run(details, *given).changes}

    def test_each_mount_has_its_own_limit(self) -> None:
        assert self.opened(self.FULL, policy("fleet", subject="/", limit=50)) == {"/": 50, "/srv": 85}

    def test_a_mount_can_be_left_alone(self) -> None:
        assert self.opened(self.FULL, policy("fleet", subject="/srv", enabled=False)) == {}

    def test_all_but_one_can_be_left_alone(self) -> None:
        off, on = policy("fleet", enabled=False), policy("fleet", subject="/srv", enabled=True)
        assert self.opened(Details(filesystems=(filesystem("/", 99), *self.FULL.filesystems)), off, on) == {"/srv": 85}

    def test_processes_go_by_their_names(self) -> None:
        details = Details(processes_by_memory=(process(7, "java", memory_percent=60), process(8, "sh", 0, 30)))
        assert self.opened(details, policy("fleet", "process_memory_high", "jav*", limit=70)) == {"sh (pid 8)": 25}

    def test_a_service_can_be_left_alone(self) -> None:
        details = Details(services=(Service("nginx", False, "failed"), Service("cron", False, "failed")))
        assert self.opened(details, policy("fleet", "service_down", "nginx", enabled=False)) == {"cron": None}

    def test_a_severity_is_that_of_the_policy(self) -> None:
        [change] = self.run(self.FULL, policy("fleet", severity="low")).changes
        assert (change.subject, change.severity) == ("/srv", "low")

    @pytest.mark.parametrize("missing", [False, True])
    def test_what_is_switched_off_while_it_is_open_resolves_with_the_next_snapshot(self, missing: bool) -> None:
        track = open_track("disk_full", "/srv", "high", NOW - 60, NOW - 60, value=90, limit=85)
        details = Details() if missing else self.FULL
        evaluation = self.run(details, policy("fleet", enabled=False), tracks=[track], rounds=1)
        assert [(change.state, change.resolved_at) for change in evaluation.changes] == [("resolved", NOW)]
        assert "open" not in {track.state for track in evaluation.tracks[0]}

    def test_what_is_unmounted_is_full_no_more_though_another_is_above_the_lowest_limit(self) -> None:
        track = open_track("disk_full", "/srv", "high", NOW - 60, NOW - 60, value=90, limit=85)
        details = Details(filesystems=(filesystem("/", 60),))
        evaluation = self.run(details, policy("fleet", subject="/var", limit=40), tracks=[track])
        assert [change.state for change in evaluation.changes] == ["resolved"]


def test_limits_without_policies_are_the_defaults() -> None:
    assert {event_type: HostLimits().of(event_type, "anything") for event_type in DEFAULTS} == DEFAULTS


def save(engine: Engine, target: Target, settings: Settings | None, expected: int = 0) -> None:
    with writing(engine) as connection:
        policies.save(connection, target, settings, expected=expected, now=NOW, by="a test")


def open_types(engine: Engine) -> list[tuple[int, str]]:
    with reading(engine) as connection:
        query = select(events.c.host_id, events.c.type).where(events.c.state == "open").order_by(events.c.host_id)
        return [(row[0], row[1]) for row in connection.execute(query)]


def test_a_change_holds_from_the_next_drain_on(
    engine: Engine, inbox: Inbox, new_host: Callable[[], SimulatedHost]
) -> None:
    tagged, other = new_host(), new_host()
    with writing(engine) as connection:
        connection.execute(insert(tags), {"host_id": tagged.id, "tag": "batch"})
    target = Target("tag", "batch", None, "cpu_high", "")

    def report(now: float) -> None:
        for host in (tagged, other):
            host.report(now - 30, cpu_percent=60)
            host.report(now, cpu_percent=60)
        drain(engine, inbox, range(keys.SHARDS), 4000, lambda: now, {})

    report(NOW)
    assert open_types(engine) == []
    save(engine, target, Settings(limit=50))
    report(NOW + 60)
    assert open_types(engine) == [(tagged.id, "cpu_high")]
    save(engine, target, Settings(enabled=False), expected=1)
    report(NOW + 120)
    assert open_types(engine) == []
    save(engine, target, None, expected=2)
    report(NOW + 180)
    assert open_types(engine) == []


def test_silence_is_as_long_as_the_policy_says(
    engine: Engine, inbox: Inbox, new_host: Callable[[], SimulatedHost]
) -> None:
    patient, prompt, ignored = new_host(), new_host(), new_host()
    save(engine, Target("host", "", patient.id, "host_down", ""), Settings(limit=100))
    save(engine, Target("host", "", prompt.id, "host_down", ""), Settings(opens_after_seconds=10, limit=2))
    save(engine, Target("host", "", ignored.id, "host_down", ""), Settings(enabled=False))
    duties.sweep(engine, inbox, NOW)
    for host in (patient, prompt, ignored):
        host.interval_seconds = 5.0
        host.report(NOW)
    drain(engine, inbox, range(keys.SHARDS), 4000, lambda: NOW, {})
    for second in range(5, 60, 5):
        duties.sweep(engine, inbox, NOW + second)
    assert open_types(engine) == [(prompt.id, "host_down")]
    with reading(engine) as connection:
        assert connection.scalar(select(events.c.opened_at)) == NOW + 15


def test_a_policy_that_cannot_be_read_stops_no_drain(engine: Engine, inbox: Inbox, host: SimulatedHost) -> None:
    save(engine, Target("fleet", "", None, "cpu_high", ""), Settings(limit=50))
    with writing(engine) as connection:
        connection.execute(update(schema_policies).values(settings={"limit": "much"}))
    host.report(NOW, cpu_percent=90)
    assert drain(engine, inbox, range(keys.SHARDS), 4000, lambda: NOW, {}).stored == 1
