"""What holds a host back, judged from its recent history. Pure: averages, details and open events in, a verdict out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from api.findings import LEAST_SCORE, Average, Finding, Resource, Seen, findings
from api.suggestions import OpenEvent, Suggestion, suggest, suggest_for_events
from wire.snapshot import Details


@dataclass(frozen=True)
class Verdict:
    """What holds a host back, ``none`` for nothing; findings and suggestions with the worst and best first."""

    bottleneck: Resource | Literal["none"]
    findings: Sequence[Finding]
    suggestions: Sequence[Suggestion]


def judge(averages: Mapping[str, Average], details: Details, events: Sequence[OpenEvent]) -> Verdict:
    """Judge a host by the averages of its metrics; one that is missing has none."""
    seen = Seen(averages, details)
    found = findings(seen)
    holding_back = [finding for finding in found if finding.score >= LEAST_SCORE]
    suggestions = [one for finding in holding_back for one in suggest(finding, seen, events)]
    suggestions += suggest_for_events(events, {one.issue_type for one in suggestions})
    suggestions.sort(key=lambda one: ("high", "medium", "low").index(one.impact))
    return Verdict(holding_back[0].resource if holding_back else "none", found, suggestions)
