"""Routes of a host's filesystems: their history, and when they will be full."""

from typing import Any

import numpy as np
from flask import Blueprint, Response
from numpy.typing import NDArray

from api.answers import listing, rfc3339
from api.context import context
from api.operations import operation
from api.references import host_in_path
from store import events, filesystems
from store.engine import reading
from store.filesystems import History
from wire.text import storable

blueprint = Blueprint("filesystems", __name__, url_prefix="/api/v1/hosts")

_MOST_EVENTS = 500


@blueprint.get("/<reference>/filesystems")
@operation()
def list_filesystems(reference: str) -> Response:
    """List the filesystems of a host, each with its history of three days and when it will be full.

    ``t`` is in Unix seconds. ``full_at`` and ``inodes_full_at`` are the estimates of its open events, null where none
    is open: it is not likely to be full within the limit of ``disk_forecast``.
    """
    with reading(context().engine) as connection:
        host = host_in_path(connection, reference)
        history = filesystems.history(connection, host.id)
        wanted = events.EventFilter(type="disk_forecast", state="open", host_id=host.id)
        found = events.page(connection, wanted, limit=_MOST_EVENTS)
    full_at = {event.subject: event.last_at + event.value for event in found if event.value is not None}
    return listing([] if history is None else _documents(history, full_at), None)


def _documents(history: History, full_at: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {
            "mount": storable(mount),
            "t": history.at.astype(np.int64).tolist(),
            "used_percent": _rounded(history.percent[:, place, 0]),
            "inodes_percent": _rounded(history.percent[:, place, 1]),
            "full_at": rfc3339(full_at.get(filesystems.subject(mount, 0))),
            "inodes_full_at": rfc3339(full_at.get(filesystems.subject(mount, 1))),
        }
        for place, mount in enumerate(history.mounts)
    ]


def _rounded(percent: NDArray[np.float64]) -> list[float]:
    rounded: list[float] = percent.round(2).tolist()
    return rounded
