"""What would help, with what to expect of it and what it risks, and the remedy that does it or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from api.diagnosis.measures import Resource

Impact = Literal["high", "medium", "low"]
Risk = Literal["none", "low", "medium", "high"]

_TRUST: Mapping[Risk, float] = {"none": 1.0, "low": 0.95, "medium": 0.85, "high": 0.6}
"""What is left of an expected effect when its risk is weighed against it."""


@dataclass(frozen=True)
class Suggestion:
    """One thing that would help."""

    text: str
    impact: Impact
    resource: Resource | None
    """Which finding it answers; None where it answers an event."""
    expected: str
    """What it would change, in words."""
    effect: int
    """From 0 to 100: how much of the trouble it is expected to take away."""
    risk: Risk
    """Of doing it: ``none`` where nothing is changed."""
    rank: int
    """From 0 to 100, the first to be done highest: its effect, by how bad the trouble is, less for its risk."""
    issue_type: str | None = None
    """The remedy that does it."""
    no_remedy: str | None = None
    """Why no script does it, where none does."""
    event_id: int | None = None
    """The open event that the script would answer."""
    parameters: Mapping[str, Any] = field(default_factory=dict)


def suggestion(
    text: str,
    expected: str,
    *,
    effect: float,
    score: float,
    risk: Risk,
    resource: Resource | None = None,
    issue_type: str | None = None,
    no_remedy: str | None = None,
    event_id: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Suggestion:
    """Return a suggestion against a trouble of this score, ranked."""
    shown = round(max(0.0, min(100.0, effect)))
    return Suggestion(
        text,
        "high" if shown >= 60 else "medium" if shown >= 25 else "low",
        resource,
        expected,
        shown,
        risk,
        round(shown * score / 100 * _TRUST[risk]),
        issue_type,
        no_remedy,
        event_id,
        parameters or {},
    )


def ranked(suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """Return them with the first to be done first; of those that do the same thing only the best."""
    once: dict[object, Suggestion] = {}
    for one in sorted(suggestions, key=lambda one: -one.rank):
        target = one.parameters.get("pid") or one.parameters.get("mount") or one.parameters.get("service")
        is_milder = one.parameters.get("action") == "renice"
        once.setdefault((target, is_milder) if target else one.text, one)
    return list(once.values())
