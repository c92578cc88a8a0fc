"""What goes out: JSON, and times as RFC 3339 in UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from flask import Response

MAX_TIME = 253_402_300_799.0
"""The last second of the year 9999, in Unix seconds: RFC 3339 has no later one."""


def answer(document: object) -> Response:
    """Return a document as JSON; NaN and infinity become null."""
    return Response(msgspec.json.encode(document), mimetype="application/json")


def listing(items: Sequence[object], following: str | None) -> Response:
    """Return one page of a list; ``following`` is the cursor of the next page, None on the last."""
    return answer({"items": items, "next": following})


def rfc3339(seconds: float | None) -> str | None:
    """Return a Unix time to the millisecond; None for no time, and for one that RFC 3339 cannot write."""
    if seconds is None or not 0 <= seconds <= MAX_TIME:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
