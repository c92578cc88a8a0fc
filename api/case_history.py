"""What is stored of a host, as its diagnosis takes it."""

from collections.abc import Mapping

import numpy as np
from msgspec.structs import replace
from sqlalchemy import Connection

from api.diagnosis.measures import METRICS, PLACE, Averages
from api.diagnosis.seen import FEWEST_PEERS, RECENT_SECONDS, WHOLE_SECONDS, OpenEvent, Peers, Seen, View
from api.diagnosis.trend import History
from store import case_history, filesystems
from store.case_history import Means, PeerAverages
from store.events import Event
from store.explanations import Views
from store.hosts import HostName
from wire.snapshot import Details, Unreadable, decode_details
from wire.text import storable


def seen_of(connection: Connection, host: HostName, remedy_of: Mapping[str, str], now: float) -> Seen:
    """Return what is known of a host; ``remedy_of`` names the remedy of each type of event that has one."""
    stored = case_history.read(
        connection,
        host.id,
        METRICS,
        now,
        range_seconds=int(WHOLE_SECONDS),
        recent_seconds=RECENT_SECONDS,
        fewest_peers=FEWEST_PEERS,
    )
    view, earlier = (None, None) if stored.views is None else _views(stored.views)
    return Seen(
        host=host.name,
        now=stored.until,
        averages=Averages(stored.whole[None], stored.recent[None]),
        silent_seconds=None if stored.last_taken_at is None else max(0.0, now - stored.last_taken_at),
        whole_seconds=stored.range_seconds,
        recent_seconds=stored.recent_seconds,
        fives=_histories(stored.fives),
        hours=_histories(stored.hours),
        peers=None if stored.peers is None else _peers(stored.peers),
        view=view,
        earlier=earlier,
        filesystems={} if stored.filesystems is None else _filesystems(stored.filesystems),
        events=[_open_event(event, now) for event in stored.events],
        remedy_of=remedy_of,
    )


def _histories(stored: Means) -> dict[str, History]:
    return {name: History(stored.at, stored.mean[:, place]) for name, place in PLACE.items()}


def _peers(stored: PeerAverages) -> Peers:
    is_known = np.isfinite(stored.averages).any(axis=0)
    median = np.full(len(METRICS), np.nan)
    median[is_known] = np.nanmedian(stored.averages[:, is_known], axis=0)
    return Peers(stored.tag, len(stored.averages), dict(zip(METRICS, median.tolist(), strict=True)))


def _views(stored: Views) -> tuple[View | None, View | None]:
    latest = _view(stored.taken_at, stored.details)
    return latest, _view(stored.earlier_taken_at, stored.earlier_details)


def _view(taken_at: float | None, encoded: bytes | None) -> View | None:
    if taken_at is None or encoded is None:
        return None
    try:
        return View(taken_at, _storable(decode_details(encoded)))
    except Unreadable:
        return None


def _storable(details: Details) -> Details:
    """Return the details with the texts that name something as the events have them."""
    named = {
        "processes_by_cpu": "name",
        "processes_by_memory": "name",
        "filesystems": "mount",
        "disks": "name",
        "interfaces": "name",
    }
    mended = {
        part: tuple(replace(one, **{name: storable(getattr(one, name))}) for one in getattr(details, part))
        for part, name in named.items()
    }
    mended["directories"] = tuple(
        replace(one, mount=storable(one.mount), path=storable(one.path)) for one in details.directories
    )
    return replace(details, **mended)


def _filesystems(stored: filesystems.History) -> dict[str, History]:
    return {
        storable(mount): History(stored.at, stored.percent[:, place, 0]) for place, mount in enumerate(stored.mounts)
    }


def _open_event(event: Event, now: float) -> OpenEvent:
    evidence = event.evidence if isinstance(event.evidence, dict) else {}
    value = event.value
    if event.type == "disk_forecast" and value is not None:
        # How soon it is full was said when it was last seen.
        value = max(0.0, event.last_at + value - now)
    return OpenEvent(event.id, event.type, event.subject, event.severity, value, evidence)
