"""``fleetmedic verify``: whether a file is a script of ours, and unchanged.

What a file is, its SHA-256 alone tells. What it says of itself is only where to look for the script that it once was.
"""

import hashlib
import json
import os
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from cli.api_client import ApiClient
from cli.arguments import add_data_dir
from cli.differences import Difference, compare
from cli.errors import CommandFailed
from cli.provenance import Provenance, provenance_of
from cli.server_file import find_server
from cli.tables import local_time
from wire.text import visible

EXIT_CODES = {"unchanged": 0, "changed": 3, "not_ours": 4}
"""By verdict. 1 is that it cannot be told, 2 wrong usage."""

_MOST_BYTES = 1024 * 1024
_MOST_LISTED = 1000
_MOST_CANDIDATES = 20
_MOST_SHOWN = 10
# Nothing that waits for somebody, and nothing that leads elsewhere by the time it is run.
_OPEN = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="the file; only what it is counts, not its name")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_dir(parser)
    parser.epilog = (
        "Exit codes: 0 ours and unchanged, 1 it cannot be told, 2 wrong usage, 3 ours but changed, 4 not ours."
    )


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Look at the file, ask the API, and print the verdict; return its exit code."""
    body = _read(arguments.file)
    api = ApiClient.from_environment(find_server(environment, arguments.data_dir))
    found = _verdict(api, body)
    if arguments.json:
        print(json.dumps({"file": arguments.file, **found}, indent=2))
    else:
        print("\n".join(_told(visible(arguments.file), found)))
    return EXIT_CODES[found["verdict"]]


def _read(name: str) -> bytes:
    """Return what is in a file, of one that is too long a byte more than is looked at. Raises CommandFailed."""
    try:
        descriptor = os.open(name, _OPEN)
    except (OSError, ValueError) as error:
        if os.path.islink(name):  # noqa: PTH114 - a Path takes no name with a NUL
            raise CommandFailed(f"{visible(name)} is a link: name the file that it leads to") from None
        fault = error.strerror if isinstance(error, OSError) else error
        raise CommandFailed(f"{visible(name)} cannot be read: {fault}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CommandFailed(f"{visible(name)} is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CommandFailed(f"{visible(name)} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _verdict(api: ApiClient, body: bytes) -> dict[str, Any]:
    if len(body) > _MOST_BYTES:
        return _not_ours(None, f"it has more than {_MOST_BYTES:,} bytes, and no script has")
    sha256 = hashlib.sha256(body).hexdigest()
    same = api.get("/api/v1/scripts", sha256=sha256)["items"]
    if same:
        return {
            "verdict": "unchanged",
            "reason": None,
            "sha256": sha256,
            "script": same[0],
            "same": same[1:],
            "difference": None,
        }
    says = provenance_of(body)
    if says is None:
        return _not_ours(sha256, "it does not even say that it is one of Fleetmedic's")
    nearest = _nearest(api, says, body)
    if nearest is None:
        return _not_ours(sha256, f"it says that it is {_claim(says)}, but no such script was made here")
    script, difference = nearest
    return {
        "verdict": "changed",
        "reason": None,
        "sha256": sha256,
        "script": script,
        "same": [],
        "difference": {"lines": difference.lines, "shown": difference.shown},
    }


def _not_ours(sha256: str | None, reason: str) -> dict[str, Any]:
    return {
        "verdict": "not_ours",
        "reason": reason,
        "sha256": sha256,
        "script": None,
        "same": [],
        "difference": None,
    }


def _nearest(api: ApiClient, says: Provenance, body: bytes) -> tuple[dict[str, Any], Difference] | None:
    """Return the script that a file differs least from, of those that it says it is, and how it differs."""
    compared = [(script, compare(script.pop("script"), body)) for script in _candidates(api, says)]
    return min(compared, key=lambda pair: pair[1].lines, default=None)


def _candidates(api: ApiClient, says: Provenance) -> Iterator[dict[str, Any]]:
    event = None if says.event_id is None else str(says.event_id)
    listed = api.get("/api/v1/scripts", issue_type=says.remedy, event=event, limit=str(_MOST_LISTED))["items"]
    made = [one for one in listed if one["state"] == "ready" and one["script_type"] == says.script_type]
    # One that answers no event would be lost among all that do; what the file says of that may be what was changed.
    made.sort(key=lambda one: one["event_id"] != says.event_id)
    for script in made[:_MOST_CANDIDATES]:
        yield api.get(f"/api/v1/scripts/{script['id']}")


def _claim(says: Provenance) -> str:
    return f"{visible(says.remedy)} for {says.script_type}" + (f" for event {says.event_id}" if says.event_id else "")


def _told(name: str, found: Mapping[str, Any]) -> list[str]:
    if found["verdict"] == "not_ours":
        return [f"{name} is not ours: {found['reason']}"]
    script = found["script"]
    facts = [
        ("script", f"{script['id']}: {script['issue_type']} {script['remedy_version']} for {script['script_type']}"),
        ("host", script["host"] or "none in particular"),
        ("event", "none" if script["event_id"] is None else str(script["event_id"])),
        ("asked for", _asked(script)),
        ("made", local_time(script["ready_at"])),
        ("SHA-256", script["sha256"]),
    ]
    facts += [("also", f"{one['id']}, asked for {_asked(one)}") for one in found["same"][:_MOST_SHOWN]]
    lines = [f"  {what:<9}  {visible(fact)}" for what, fact in facts]
    if found["verdict"] == "unchanged":
        return [f"{name} is ours and unchanged", *lines]
    difference = found["difference"]
    shown = [visible(line) for line in difference["shown"]]
    return [f"{name} is ours, but CHANGED: {_how_much(difference['lines'])}", *lines, *shown]


def _asked(script: Mapping[str, Any]) -> str:
    return f"{local_time(script['requested_at'])} by {script['requested_by'] or 'somebody unknown'}"


def _how_much(lines: int) -> str:
    if not lines:
        return "only the ends of its lines differ"
    return f"{lines} lines differ" if lines > 1 else "1 line differs"
