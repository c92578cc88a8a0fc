"""What became of events, into the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from store import records, script_jobs
from worker.evaluation import EventChange


def write_events(connection: Connection, changes: Sequence[tuple[int, EventChange]]) -> None:
    """Write changes of events, given as (host id, change)."""
    # What resolves goes first: the same subject may open again in the same drain.
    records.update_events(
        connection, [event_row(host, change) for host, change in changes if not (change.is_new or change.reopens)]
    )
    again = [event_row(host, change) for host, change in changes if change.reopens and not change.is_new]
    # The script answers what was seen when the event opened before.
    script_jobs.retire(connection, records.reopen_events(connection, again))
    records.insert_events(connection, [event_row(host, change) for host, change in changes if change.is_new])


def event_row(host_id: int, change: EventChange) -> dict[str, Any]:
    """Return a change as columns of the events table."""
    return {
        "host_id": host_id,
        "type": change.type,
        "subject": change.subject,
        "severity": change.severity,
        "state": change.state,
        "limit_value": change.limit,
        "first_value": change.first_value,
        "value": change.value,
        "peak_value": change.peak_value,
        "peak_at": change.peak_at,
        "started_at": change.started_at,
        "opened_at": change.opened_at,
        "last_at": change.last_at,
        "resolved_at": change.resolved_at,
        "openings": change.openings,
        "reopened_at": change.reopened_at,
        "flapping": change.flapping,
        "evidence": change.evidence,
    }
