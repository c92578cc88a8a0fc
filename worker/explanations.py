"""Explaining new events: outside the drain, in bulk, a batch at a time, the newest first."""

from collections.abc import Sequence
from itertools import chain

from sqlalchemy import Connection, Engine

from store import explanations, rollups
from store.engine import reading, writing
from store.explanations import Explained, Unexplained, Views
from wire.metrics import INDEX
from wire.snapshot import Unreadable, decode_details
from worker.explanation.case import METRICS, Case, Usual, View
from worker.explanation.sentence import explain
from worker.usual import PASTS, Past, usual

_MOST_AT_ONCE = 250


def explain_new(engine: Engine) -> list[int]:
    """Explain events that have no explanation, one batch of them; return the hosts whose events these are."""
    with reading(engine) as connection:
        found = explanations.unexplained(connection, _MOST_AT_ONCE)
        host_ids = sorted({event.host_id for event in found})
        views = explanations.views(connection, host_ids)
        usuals = _usuals(connection, found)
    explained = []
    for event in found:
        explanation = explain(_case(event, views.get(event.host_id), usuals.get(event.id)))
        explained.append(Explained(event.id, explanation.text, [change.document for change in explanation.changes]))
    if explained:
        with writing(engine) as connection:
            explanations.write(connection, explained)
    return host_ids


def _case(event: Unexplained, views: Views | None, usual_then: Usual | None) -> Case:
    return Case(
        type=event.type,
        subject=event.subject,
        limit=event.limit_value,
        value=event.value if event.peak_value is None else event.peak_value,
        started_at=_first_sign(event),
        opened_at=event.opened_at if event.reopened_at is None else event.reopened_at,
        evidence=event.evidence if isinstance(event.evidence, dict) else {},
        view=_view(views.taken_at, views.details) if views else None,
        earlier=_view(views.earlier_taken_at, views.earlier_details) if views else None,
        usual=usual_then,
    )


def _first_sign(event: Unexplained) -> float:
    return event.started_at if event.reopened_at is None else event.reopened_at


def _view(taken_at: float | None, details: bytes | None) -> View | None:
    if taken_at is None or details is None:
        return None
    try:
        return View(taken_at, decode_details(details))
    except Unreadable:
        return None


def _usuals(connection: Connection, found: Sequence[Unexplained]) -> dict[int, Usual]:
    """Return what is usual for the metrics of these events, by event id."""
    usuals: dict[int, Usual] = {}
    for past in PASTS:
        lacking = [event for event in found if event.type in METRICS and event.id not in usuals]
        history = _History(connection, past, lacking)
        known = {event.id: usual(past, history.means(event)) for event in lacking}
        usuals |= {event_id: one for event_id, one in known.items() if one is not None}
    return usuals


class _History:
    """The means of all metrics in a part of the past of the hosts of events."""

    def __init__(self, connection: Connection, past: Past, found: Sequence[Unexplained]) -> None:
        """Read it."""
        # Many events begin in the same bucket.
        moments = {past.bucket(_first_sign(event)) for event in found}
        self._starts = {moment: past.starts(moment) for moment in moments}
        self._past = past
        hosts = {event.host_id for event in found}
        read = rollups.read_buckets(connection, past.table, hosts, set(chain.from_iterable(self._starts.values())))
        self._averages = read.average()
        keys = zip(read.host_id.tolist(), read.start_at.tolist(), strict=True)
        self._rows = {key: row for row, key in enumerate(keys)}

    def means(self, event: Unexplained) -> list[float]:
        """Return those of the event's metric and host."""
        if not self._rows:
            return []
        starts = self._starts[self._past.bucket(_first_sign(event))]
        rows = (self._rows.get((event.host_id, start)) for start in starts)
        place = INDEX[METRICS[event.type]]
        return [float(self._averages[row, place]) for row in rows if row is not None]
