"""Scripts that tests ask for, and the events that have them asked for."""

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from store import events, scripts
from store.engine import reading, writing
from store.records import insert_events, write_details
from store.script_jobs import request_for_open_events
from store.script_templates import MARKER
from store.scripts import Script

Result = TypeVar("Result")
_TURNS = count()
NOW = 1_800_000_000.0
TEMPLATE = f"#!/usr/bin/env bash\n{MARKER}\necho done\n"
RENDERED: dict[str, Any] = {
    "parameters": {"mount": "/\u2028'\"", "older_than_days": 7, "include_containers": False},
    "remedy_version": "1.0.0",
    "filename": "fix.sh",
    "description": "Fixes.",
    "run_command": "bash fix.sh",
    "requires_admin": True,
    "template": TEMPLATE,
    "assignments": "FM_MOUNT='/'",
    "sha256": "0" * 64,
}


def request(engine: Engine, host_id: int | None = None, **changes: Any) -> int:
    """Ask for a script, for another one each time unless ``given`` says what for."""
    asked: dict[str, Any] = {
        "issue_type": "disk_full",
        "script_type": "bash",
        "event_id": None,
        "given": {"turn": next(_TURNS)},
        "now": NOW,
    }
    with writing(engine) as connection:
        return scripts.request(connection, **{"host_id": host_id, **asked, **changes})


def find(engine: Engine, script_id: int) -> Script:
    return in_store(engine, lambda connection: find_in(connection, script_id))


def find_in(connection: Connection, script_id: int) -> Script:
    script = scripts.find(connection, script_id)
    assert script is not None
    return script


def in_store(engine: Engine, read: Callable[[Connection], Result]) -> Result:
    with reading(engine) as connection:
        return read(connection)


def open_event(engine: Engine, host_id: int, event_type: str = "disk_full", subject: str = "/data") -> int:
    """Open an event and return its id."""
    row = dict.fromkeys(("limit_value", "first_value", "value", "peak_value", "peak_at", "resolved_at"))
    times = dict.fromkeys(("started_at", "opened_at", "last_at"), NOW)
    what = {"host_id": host_id, "type": event_type, "subject": subject, "severity": "high", "state": "open"}
    first = {"openings": 1, "reopened_at": None, "flapping": False, "evidence": {"why": "full"}}
    with writing(engine) as connection:
        insert_events(connection, [{**row, **times, **what, **first}])
    wanted = events.EventFilter(type=event_type, host_id=host_id)
    return in_store(engine, lambda connection: events.page(connection, wanted, limit=1))[0].id


def request_automatic(engine: Engine, *host_ids: int) -> list[int]:
    with writing(engine) as connection:
        return request_for_open_events(connection, host_ids, {"disk_full": "disk_full", "cpu_spike": "cpu_high"}, NOW)


def tell(engine: Engine, host_id: int, details: bytes) -> None:
    with writing(engine) as connection:
        write_details(connection, [(host_id, NOW, details)])
