from typing import Any

from cli.commands.events import changed, life, line


def _event(number: int, state: str = "open", severity: str = "high", **life: Any) -> dict[str, Any]:
    untouched: dict[str, Any] = {
        "openings": 1,
        "flapping": False,
        "acknowledged_at": None,
        "resolved_by": None,
        "notes": 0,
    }
    untouched |= {"explanation": None, "reopened_at": None}
    return {"id": number, "state": state, "severity": severity, **untouched, **life}


def test_following_shows_what_opened_what_got_worse_and_what_resolved() -> None:
    before = [_event(1), _event(2), _event(3)]
    after = [_event(1), _event(2, severity="critical"), _event(3, state="resolved"), _event(4)]
    assert changed(before, after) == after[1:]


def test_following_shows_what_opened_again_and_what_was_acknowledged() -> None:
    before = [_event(1), _event(2), _event(3)]
    after = [_event(1), _event(2, openings=2), _event(3, acknowledged_at="2027-01-15T08:00:00.000Z")]
    assert changed(before, after) == after[1:]


def test_the_life_of_an_event_is_told_in_words() -> None:
    assert life(_event(1)) == ""
    cared_for = {"acknowledged_at": "2027-01-15T08:00:00.000Z", "acknowledged_by": "admin token"}
    assert life(_event(1, openings=3, flapping=True, notes=2, resolved_by="browser session", **cared_for)) == (
        "opened 3 times, flapping, acknowledged by admin token, resolved by browser session, notes: 2"
    )


def test_following_shows_nothing_twice() -> None:
    assert changed([_event(1)], [_event(1)]) == []


def test_following_shows_an_explanation_once_when_it_is_there() -> None:
    about = {"host": "web", "type": "cpu_high", "subject": "web", "value": 97.0, "limit": 85.0, "resolved_at": None}
    times = {"opened_at": "2027-01-15T08:00:00Z"}
    new, explained, worse = (
        _event(1, severity=severity, explanation=text, **about, **times)
        for severity, text in (("high", None), ("high", "CPU at 97 %.\x1b"), ("critical", "CPU at 97 %.\x1b"))
    )
    assert changed([new], [explained]) == [explained]
    assert line(new, None).endswith("open      high      web  cpu_high at 97 (limit 85)")
    assert line(explained, new).endswith("open      high      web  cpu_high\n    CPU at 97 %.\\x1b")
    assert line(worse, explained).endswith("open      critical  web  cpu_high at 97 (limit 85)")
    assert line(explained, None).endswith("web  cpu_high at 97 (limit 85)\n    CPU at 97 %.\\x1b")
