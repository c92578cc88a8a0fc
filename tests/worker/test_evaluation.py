import json
import math
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from tests.wire.test_snapshot import DETAILS
from tests.worker.snapshots import Seen, batch, filesystem, process, seen
from wire.snapshot import Details, DiskHealth, Process, Service, Unreadable
from worker.detection.host_limits import BatchLimits, HostLimits, Override
from worker.evaluation import MOST_SUBJECTS, Evaluation, EventChange, evaluate
from worker.events import Track, decode_tracks, encode_tracks, open_track

START = 1.8e9


def run(said: Sequence[Seen], tracks: Sequence[Track] = (), previous_cpu_percent: float = math.nan) -> Evaluation:
    """Evaluate one host's snapshots as one batch."""
    rows = batch(said, previous_cpu_percent=[previous_cpu_percent])
    return evaluate(rows, {0: list(tracks)}, lambda row: said[row].details)


def busy(*values: float, every_seconds: float = 30.0) -> list[Seen]:
    return [seen(START + step * every_seconds, cpu_percent=value) for step, value in enumerate(values)]


class TestWhatChanges:
    def test_an_event_that_opens_and_resolves_within_a_batch_is_one_change(self) -> None:
        [change] = run(busy(90, 95, 50, 50)).changes
        assert (change.type, change.state, change.is_new) == ("cpu_high", "resolved", True)
        assert (change.first_value, change.peak_value, change.value) == (90, 95, 50)
        assert (change.started_at, change.opened_at, change.resolved_at) == (START, START + 30, START + 90)

    def test_an_event_of_an_earlier_batch_resolves_and_long_after_another_opens(self) -> None:
        open_before = run(busy(90, 90)).tracks[0]
        before, new = run(busy(75, 75, *[75] * 21, 90, 90), open_before).changes
        assert (before.state, before.is_new, before.reopens) == ("resolved", False, False)
        assert (new.state, new.is_new, new.openings) == ("open", True, 1)

    def test_an_event_of_an_earlier_batch_that_resolves_and_opens_again_is_one_change(self) -> None:
        open_before = run(busy(90, 90)).tracks[0]
        details = Details(processes_by_cpu=(process(7, "burner", 99),))
        again = [seen(START + 120 + 30 * step, details, cpu_percent=90) for step in range(2)]
        [change] = run([*busy(75, 75), *again], open_before).changes
        assert (change.state, change.is_new, change.reopens, change.openings) == ("open", False, True, 2)
        assert change.evidence["processes"][0]["pid"] == 7

    def test_an_event_that_opens_and_opens_again_within_a_batch_is_one_that_is_new(self) -> None:
        [change] = run(busy(90, 90, 75, 75, 90, 90, 75, 75)).changes
        assert (change.state, change.is_new, change.openings) == ("resolved", True, 2)

    def test_a_resolved_event_costs_a_host_nothing_while_it_is_well_and_is_forgotten_in_time(self) -> None:
        tracks = run(busy(90, 90, 50, 50)).tracks[0]
        assert [track.state for track in tracks] == ["resolved"]
        said = busy(*[50] * 20)
        assert run([one._replace(taken_at=one.taken_at + 120) for one in said[:20]], tracks) == Evaluation()
        assert run([one._replace(taken_at=one.taken_at + 720) for one in said[:1]], tracks) == Evaluation(
            tracks={0: []}
        )

    def test_a_host_in_good_health_changes_nothing(self) -> None:
        assert run(busy(10, 20, 30)) == Evaluation()

    def test_a_pending_event_changes_tracks_only(self) -> None:
        evaluation = run(busy(90))
        assert evaluation.changes == []
        assert [track.state for track in evaluation.tracks[0]] == ["pending"]

    def test_tracks_that_end_are_reported_as_none(self) -> None:
        pending = run(busy(90)).tracks[0]
        assert run(busy(10), pending).tracks == {0: []}

    def test_hosts_do_not_mix(self) -> None:
        hosts = [busy(10), busy(90, 90), busy(10, 10), busy(90)]
        evaluation = evaluate(batch(*hosts), {}, lambda _: Details())
        assert [(change.host, change.type) for change in evaluation.changes] == [(1, "cpu_high")]
        assert sorted(evaluation.tracks) == [1, 3]
        assert evaluation.opened_rows == {2}

    def test_a_leap_is_measured_against_the_hosts_own_last_snapshot(self) -> None:
        evaluation = evaluate(
            batch(busy(10), busy(60), busy(60), previous_cpu_percent=[10, 55, 10]), {}, lambda _: Details()
        )
        assert [(change.host, change.type) for change in evaluation.changes] == [(2, "cpu_spike")]

    def test_other_limits_are_kept_to(self) -> None:
        at_once = Override("", {"value": 40.0, "opens_after_seconds": 0.0, "minimum_snapshots": 1})
        limits = BatchLimits((HostLimits({"cpu_high": [at_once]}),))
        evaluation = evaluate(batch(busy(41)), {}, lambda _: Details(), limits)
        assert [(change.type, change.limit) for change in evaluation.changes] == [("cpu_high", 40.0)]


class TestTracksOfOthers:
    def test_any_snapshot_resolves_host_down_at_once(self) -> None:
        down = open_track("host_down", "", "critical", START - 60, START - 60, value=31.0, limit=30.0)
        evaluation = run(busy(math.nan), [down])
        assert [track.state for track in evaluation.tracks[0]] == ["resolved"]
        [change] = evaluation.changes
        assert (change.state, change.resolved_at, change.value, change.is_new) == ("resolved", START, 31.0, False)

    def test_a_host_that_flaps_is_down_until_it_was_heard_of_for_long_without_a_break(self) -> None:
        down = open_track("host_down", "", "critical", START - 60, START - 60, limit=90.0)
        down = msgspec.structs.replace(down, flapping=True)
        for every_seconds, states in ((30.0, ["resolved"]), (120.0, ["open"])):
            said = busy(*[10] * 31, every_seconds=every_seconds)
            assert [change.state for change in run(said, [down]).changes] == states

    def test_a_track_that_no_rule_knows_is_carried_along(self) -> None:
        other = open_track("host_cloned", "", "high", START, START)
        evaluation = run(busy(90, 90), [other])
        assert other in evaluation.tracks[0]
        assert [change.type for change in evaluation.changes] == ["cpu_high"]


class TestDetailsThatWereTooLongToSend:
    FULL = Details(filesystems=(filesystem("/srv", 90),))

    def test_a_full_filesystem_stays_full_while_the_core_vector_says_that_one_is(self) -> None:
        said = [seen(START, self.FULL), seen(START + 30, self.FULL)]
        said += [seen(START + 60 + step, disk_percent=90) for step in range(3)]
        assert [change.state for change in run(said).changes] == ["open"]

    def test_it_is_full_no_more_when_the_core_vector_says_that_none_is(self) -> None:
        said = [seen(START, self.FULL), seen(START + 30, self.FULL)]
        said += [seen(START + 60 + step, disk_percent=20) for step in range(3)]
        assert [change.state for change in run(said).changes] == ["resolved"]


class TestEvidence:
    def test_a_busy_cpu_shows_the_top_processes_of_the_moment_it_opened(self) -> None:
        early = Details(processes_by_cpu=(process(1, "idle"),))
        burner = Details(processes_by_cpu=tuple(process(pid, "burner", 99) for pid in range(2, 20)))
        [change] = run([seen(START, early, cpu_percent=90), seen(START + 30, burner, cpu_percent=90)]).changes
        assert change.evidence["taken_at"] == START + 30
        assert [one["pid"] for one in change.evidence["processes"]] == list(range(2, 12))
        assert change.evidence["processes"][0] == {
            "pid": 2,
            "start_time": 1.7e9,
            "name": "burner",
            "user": "root",
            "cpu_percent": 99,
            "memory_percent": 0,
            "memory_bytes": 0,
            "command": "/usr/bin/burner",
        }

    def test_each_rule_shows_its_own(self) -> None:
        details = Details(
            filesystems=(filesystem("/srv", 99),),
            processes_by_memory=(process(7, "java", memory_percent=60),),
            services=(Service("nginx", False, "failed"),),
            disk_health=(DiskHealth("sda", True, "SMART: failing now"),),
        )
        evaluation = run([seen(START + 30 * step, details, memory_percent=99) for step in range(2)])
        shown = {change.type: change.evidence for change in evaluation.changes}
        assert shown["memory_high"]["processes"][0]["name"] == "java"
        assert shown["disk_full"]["filesystem"]["used_percent"] == 99
        assert shown["process_memory_high"]["process"]["pid"] == 7
        assert shown["service_down"]["service"] == {"name": "nginx", "state": "failed"}
        assert shown["disk_health"]["reason"] == "SMART: failing now"

    def test_unreadable_details_hide_no_event_of_the_host(self) -> None:
        def unreadable(row: int) -> Details:
            raise Unreadable(f"details: row {row}")

        evaluation = evaluate(batch(busy(90, 90)), {}, unreadable)
        [change] = evaluation.changes
        assert change.evidence == {"taken_at": START + 30, "unreadable": "details: row 1"}
        assert evaluation.unreadable == {1: "details: row 1"}

    def test_a_number_that_json_does_not_have_is_none(self) -> None:
        unrated = Process(1, math.inf, "init", "root", math.nan, math.nan, -math.inf)
        said = [seen(START + 30 * step, Details(processes_by_cpu=(unrated,)), cpu_percent=90) for step in range(2)]
        [change] = run(said).changes
        [shown] = change.evidence["processes"]
        assert [name for name, value in shown.items() if value is None] == [
            "start_time",
            "cpu_percent",
            "memory_percent",
            "memory_bytes",
        ]

    def test_details_are_left_undecoded_where_nothing_asks_for_them(self) -> None:
        asked: list[int] = []
        full = Details(filesystems=(filesystem("/", 90),))
        said = [*busy(80, 90), seen(START + 60, full, cpu_percent=90), *busy(10)]
        evaluate(batch(said), {}, lambda row: asked.append(row) or said[row].details)
        assert asked == [2]


class TestHostileHosts:
    def test_no_more_than_the_worst_subjects_open(self) -> None:
        disks = tuple(DiskHealth(f"sd{number:05}", True) for number in reversed(range(1000)))
        evaluation = run([seen(START, Details(disk_health=disks))])
        assert [change.subject for change in evaluation.changes] == [
            f"sd{number:05}" for number in range(MOST_SUBJECTS)
        ]

    def test_other_subjects_make_no_room_while_theirs_are_open(self) -> None:
        first = Details(disk_health=tuple(DiskHealth(f"a{number}", True) for number in range(MOST_SUBJECTS)))
        both = Details(disk_health=(*first.disk_health, DiskHealth("b", True)))
        evaluation = run([seen(START, first), seen(START + 30, both)])
        assert len(evaluation.tracks[0]) == MOST_SUBJECTS

    def test_of_subjects_that_come_and_go_no_more_are_remembered_than_may_be(self) -> None:
        said = [
            seen(START + step, Details(disk_health=tuple(DiskHealth(f"{step} {number}", True) for number in range(40))))
            for step in range(5)
        ]
        tracks = run([*said, seen(START + 9, Details(disk_health=(DiskHealth("sda", False),)))]).tracks[0]
        assert len(tracks) == MOST_SUBJECTS
        assert {track.state for track in tracks} == {"resolved"}

    def test_impossible_readings_in_the_details_are_no_breach(self) -> None:
        values = (math.inf, -math.inf, math.nan, -5.0, 400.0, 1e308)
        details = Details(
            filesystems=tuple(filesystem(f"/{value}", value) for value in values),
            processes_by_memory=tuple(process(1, f"{value}", memory_percent=value) for value in values),
        )
        evaluation = run([Seen(START, {"disk_percent": 99.0, "process_memory_max_percent": 99.0}, details)] * 3)
        assert evaluation == Evaluation()

    def test_a_mount_given_twice_is_one_subject_with_its_worst_value(self) -> None:
        details = Details(filesystems=(filesystem("/", 97), filesystem("/", 20)))
        [change] = run([seen(START, details), seen(START + 30, details)]).changes
        assert (change.subject, change.value, change.severity) == ("/", 97, "critical")

    def test_names_are_cut_so_that_the_pid_is_still_there(self) -> None:
        huge = Process(4711, 1.0, "\0" + "x" * 3000, "", 0, 90.0, 0.0)
        details = Details(processes_by_memory=(huge,))
        [change] = run([seen(START, details), seen(START + 30, details)]).changes
        assert len(change.subject) <= 1024
        assert "\0" not in change.subject
        assert change.subject.endswith(" (pid 4711)")

    def test_a_subject_without_a_name_is_passed_over(self) -> None:
        assert run([seen(START, Details(disk_health=(DiskHealth("", True), DiskHealth("\0", True))))]) == Evaluation()


_percent = st.sampled_from([math.nan, 10.0, 44.0, 60.0, 82.0, 86.0, 99.0]) | st.floats(width=32)
_details = DETAILS | st.builds(
    lambda used, running, failing: Details(
        filesystems=(filesystem("/", used), filesystem("/srv", 100 - used)),
        processes_by_memory=(process(1, "java", memory_percent=used),),
        services=(Service("nginx", running, ""),),
        disk_health=(DiskHealth("sda", failing),),
    ),
    _percent,
    st.booleans(),
    st.booleans(),
)
_said = st.builds(
    Seen,
    st.floats(START, START + 300) | st.floats(START, START + 3000),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "cpu_percent",
                "memory_percent",
                "disk_percent",
                "process_memory_max_percent",
                "services_not_running",
                "disks_failing",
            ),
            _percent,
        ),
    ),
    _details,
)


def in_order(changes: Sequence[EventChange], table: dict[tuple[str, str, float], EventChange]) -> None:
    """Apply changes as a store would, and fail where its rules are broken."""
    for change in [*(one for one in changes if not one.is_new), *(one for one in changes if one.is_new)]:
        mine = [key for key in table if key[:2] == (change.type, change.subject)]
        open_ones = [key for key in mine if table[key].state == "open"]
        if change.is_new:
            assert not open_ones, "a second open event of one subject"
            # Whether it opened again in the batch that it opened in, no store knows.
            table[change.type, change.subject, float(len(table))] = replace(change, reopens=False)
        elif change.reopens:
            key = [key for key in mine if table[key].opened_at == change.opened_at][-1]
            assert set(open_ones) <= {key}
            table[key] = replace(change, is_new=True, reopens=False)
        else:
            [key] = open_ones
            table[key] = replace(change, evidence=table[key].evidence, is_new=True)


@settings(max_examples=150)
@given(st.lists(_said, max_size=12))
def test_one_at_a_time_or_all_at_once_is_the_same(said: list[Seen]) -> None:
    at_once = run(said) if said else Evaluation()
    expected: dict[tuple[str, str, float], EventChange] = {}
    in_order(at_once.changes, expected)

    tracks: list[Track] = []
    table: dict[tuple[str, str, float], EventChange] = {}
    cpu = math.nan
    for one in said:
        evaluation = run([one], tracks, cpu)
        cpu = one.core.get("cpu_percent", math.nan)
        # As the next drain would find them.
        tracks = decode_tracks(encode_tracks(evaluation.tracks.get(0, tracks)))
        in_order(evaluation.changes, table)

    assert sorted(map(repr, table.values())) == sorted(map(repr, expected.values()))
    assert tracks == at_once.tracks.get(0, [])


@settings(max_examples=150)
@given(st.lists(_said, max_size=8))
def test_whatever_a_host_sends_an_event_can_be_stored(said: list[Seen]) -> None:
    for change in run(said).changes if said else []:
        text = json.dumps(asdict(change), allow_nan=False, ensure_ascii=False)
        assert "\\u0000" not in text
        text.encode("utf-8")
        assert len(change.subject) <= 1024
        assert change.started_at <= change.opened_at <= change.last_at
        assert (change.resolved_at is not None) == (change.state == "resolved")


def test_an_empty_batch_is_fine() -> None:
    assert evaluate(batch(), {}, lambda _: Details()) == Evaluation()
