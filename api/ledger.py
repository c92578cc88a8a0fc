"""What became of a host's snapshots, as JSON shows it."""

from dataclasses import asdict
from typing import Any

from api.answers import rfc3339
from store.accounts import Account, Gap


def ledger_document(account: Account, open_gap: Gap | None, newest: list[Gap]) -> dict[str, Any]:
    """Return a host's account with its newest gaps, the open one first."""
    return {**asdict(account), "gaps": [gap_document(gap) for gap in ([open_gap] if open_gap else []) + newest]}


def gap_document(gap: Gap) -> dict[str, Any]:
    """Return a gap; with ``at_least`` its count is what is known, and there may be more."""
    return {
        "state": gap.state,
        "incarnation": gap.incarnation,
        "first_sequence": gap.first,
        "last_sequence": gap.last,
        "count": gap.last - gap.first + 1,
        "at_least": gap.state == "ended",
        "from": rfc3339(gap.first_taken_at),
        "to": rfc3339(gap.last_taken_at),
        "reason": gap.reason,
        "received_at": rfc3339(gap.received_at),
    }
