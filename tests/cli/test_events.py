from typing import Any

from cli.commands.events import changed


def _event(number: int, state: str = "open", severity: str = "high") -> dict[str, Any]:
    return {"id": number, "state": state, "severity": severity}


def test_following_shows_what_opened_what_got_worse_and_what_resolved() -> None:
    before = [_event(1), _event(2), _event(3)]
    after = [_event(1), _event(2, severity="critical"), _event(3, state="resolved"), _event(4)]
    assert changed(before, after) == after[1:]


def test_following_shows_nothing_twice() -> None:
    assert changed([_event(1)], [_event(1)]) == []
