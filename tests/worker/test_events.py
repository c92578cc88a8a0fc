import msgspec
import pytest

from worker.detection.finding import Finding, Verdict
from worker.detection.limits import Limit
from worker.events import Step, Track, advance, decode_tracks, encode_tracks, is_over, open_track

AT_ONCE = Limit(85.0, opens_after_seconds=0.0, minimum_snapshots=1, clear_margin=5.0)
AFTER_30_SECONDS = Limit(85.0, opens_after_seconds=30.0, minimum_snapshots=2, clear_margin=5.0)


def breach(value: float) -> Finding:
    return Finding("", Verdict.BREACH, value, "high")


def clear(value: float) -> Finding:
    return Finding("", Verdict.CLEAR, value, "high")


def lived(*readings: tuple[float, Finding], limit: Limit = AT_ONCE) -> Step:
    """Return the last step of an event through these readings."""
    step = Step(None)
    for taken_at, finding in readings:
        step = advance("cpu_high", step.track, finding, limit, taken_at)
    return step


def test_an_event_keeps_its_first_last_and_peak_value_and_when() -> None:
    track = lived((100, breach(90)), (110, breach(99)), (120, breach(87))).track
    assert track is not None
    assert (track.started_at, track.first_value) == (100, 90)
    assert (track.peak_at, track.peak_value) == (110, 99)
    assert (track.last_at, track.value) == (120, 87)


def test_an_event_starts_when_it_was_first_seen_and_opens_when_that_is_long_enough_ago() -> None:
    track = lived((100, breach(90)), (120, breach(90)), (140, breach(90)), (160, breach(90)), limit=AFTER_30_SECONDS)
    assert track.track is not None
    assert (track.track.started_at, track.track.opened_at) == (100, 140)


def test_an_open_event_never_becomes_less_severe() -> None:
    worst = Finding("", Verdict.BREACH, 99, "critical")
    track = lived((100, worst), (110, breach(86))).track
    assert track is not None
    assert track.severity == "critical"


def test_a_clock_set_back_turns_no_time_of_an_event_back() -> None:
    step = lived((7200, breach(90)), (3600, breach(95)), (3610, clear(10)))
    assert step.change == "resolved"
    assert step.track is not None
    assert (step.track.opened_at, step.track.peak_at, step.track.last_at) == (7200, 7200, 7200)


def test_a_missing_reading_leaves_an_event_as_it_is() -> None:
    before = lived((100, breach(90))).track
    assert advance("cpu_high", before, Finding("", Verdict.MISSING, None, "high"), AT_ONCE, 900) == Step(before)


def test_a_sweep_can_open_an_event_that_a_reading_resolves() -> None:
    track = open_track("host_down", "", "critical", 100, 100, value=35.0, limit=30.0)
    step = advance("host_down", track, Finding("", Verdict.CLEAR, None, "critical"), AT_ONCE, 160)
    assert step.change == "resolved"
    assert step.track is not None
    assert (step.track.value, step.track.limit, step.track.last_at) == (35.0, 30.0, 160)


def test_a_resolved_event_that_opens_again_keeps_when_it_opened_and_its_peak_but_not_its_severity() -> None:
    worst = Finding("", Verdict.BREACH, 99, "critical")
    step = lived((100, breach(90)), (110, worst), (120, clear(10)), (130, breach(91)))
    assert step.change == "reopened"
    assert step.track is not None
    assert (step.track.started_at, step.track.opened_at, step.track.reopened_at) == (100, 100, 130)
    assert (step.track.openings, step.track.severity, step.track.value) == (2, "high", 91)
    assert (step.track.first_value, step.track.peak_value, step.track.peak_at) == (90, 99, 110)


def test_a_breach_that_was_too_short_leaves_no_trace_in_what_it_would_have_opened_again() -> None:
    readings = [(100, breach(90)), (130, breach(90)), (140, clear(10)), (170, clear(10))]
    track = lived(*readings, limit=AFTER_30_SECONDS).track
    assert lived(*readings, (180, breach(99)), (190, clear(10)), limit=AFTER_30_SECONDS).track == track


def test_an_event_that_was_resolved_by_now_is_over_after_its_window_or_a_clock_set_back_by_more() -> None:
    track = lived((7200, breach(90)), (7210, clear(10))).track
    assert track is not None
    assert [is_over(track, at) for at in (7210, 7810, 7811, 6610, 6609)] == [False, False, True, False, True]


def test_an_event_is_open_for_as_long_as_it_is_held_by_the_time_that_was_read() -> None:
    held = Limit(85.0, opens_after_seconds=0.0, minimum_snapshots=1, clear_margin=5.0, hold_seconds=60.0)
    readings = [(100.0, breach(90)), (110.0, clear(10)), (159.0, clear(10))]
    assert lived(*readings, limit=held).change == "updated"
    assert lived(*readings, (160.0, clear(10)), limit=held).change == "resolved"


AGAIN = [(100.0, breach(90)), (130.0, breach(90)), (140.0, clear(10)), (170.0, clear(10)), (180.0, breach(92))]
TRACKS = [
    open_track("host_down", "", "critical", 1.8e9, 1.8e9),
    *[track for track in [lived(*AGAIN[:count], limit=AFTER_30_SECONDS).track for count in (1, 2, 4, 5)] if track],
    *[track for track in [lived(*AGAIN, (215, breach(92)), limit=AFTER_30_SECONDS).track] if track],
]


def test_tracks_survive_the_round_trip() -> None:
    assert decode_tracks(encode_tracks(TRACKS)) == TRACKS


def test_no_tracks_are_nothing_to_store() -> None:
    assert encode_tracks([]) is None
    assert decode_tracks(None) == []


def test_a_track_of_an_older_version_is_read_with_defaults() -> None:
    fields: list[object] = list(msgspec.structs.astuple(TRACKS[0]))
    required = [field for field in msgspec.structs.fields(Track) if field.required]
    assert decode_tracks(msgspec.msgpack.encode([fields[: len(required)]])) == [TRACKS[0]]


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"\x91\x01", encode_tracks(TRACKS)[:-3]])  # type: ignore[index]
def test_damaged_tracks_are_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        decode_tracks(blob)
