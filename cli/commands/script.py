"""``fleetmedic script``: the script that fixes something."""

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any

from cli.api_client import ApiClient
from cli.arguments import add_data_dir, whole_number
from cli.errors import CommandFailed
from cli.server_file import find_server
from wire.text import visible


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("issue_type", metavar="ISSUE_TYPE", help="what is to be fixed: cpu_high, disk_full, ...")
    parser.add_argument("--host", metavar="H", help="name or id of the host (default: this machine, or the only one)")
    parser.add_argument(
        "--event", type=whole_number(1, 2**63 - 1), metavar="ID", help="the event to answer; it tells the parameters"
    )
    parser.add_argument("--type", choices=("bash", "powershell"), help="default: what the host's platform runs")
    parser.add_argument(
        "--param",
        action="append",
        type=_assignment,
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the remedy; may be given several times",
    )
    parser.add_argument("--output", metavar="FILE", help="write the script there (a new file) instead of printing it")
    parser.add_argument("--json", action="store_true", help="print one JSON object with the script and all about it")
    add_data_dir(parser)


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Ask for the script and print it, what there is to know about it on stderr."""
    api = ApiClient.from_environment(find_server(environment, arguments.data_dir))
    asked = {
        "issue_type": arguments.issue_type,
        "host": arguments.host,
        "event_id": arguments.event,
        "script_type": arguments.type,
        "parameters": _typed(api, arguments.issue_type, dict(arguments.param)),
    }
    made = api.post("/api/agent/generate-script", {name: value for name, value in asked.items() if value is not None})
    if "script" not in made:
        raise CommandFailed(f"script {made['id']} is not ready yet: is a worker running?")
    if arguments.output:
        _write(arguments.output, made["script"])
    if arguments.json:
        print(json.dumps(made, indent=2))
        return 0
    if not arguments.output:
        print(made["script"], end="")
    for line in _told(made):
        print(visible(line, 500), file=sys.stderr)
    return 0


def _told(made: Mapping[str, Any]) -> list[str]:
    return [
        made["description"],
        f"Run it with: {made['run_command']}" + (" (as an administrator)" if made["requires_admin"] else ""),
        f"SHA-256 {made['sha256']}",
    ]


def _write(name: str, script: str) -> None:
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
    except OSError as error:
        raise CommandFailed(f"--output: {visible(name)} cannot be made: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(script)


def _assignment(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _typed(api: ApiClient, issue_type: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters as the remedy has them; what does not fit stays text, for the API to complain of."""
    if not given:
        return {}
    remedies = api.get("/api/v1/remedies")["items"]
    types = {
        parameter["name"]: parameter["type"]
        for remedy in remedies
        if issue_type == remedy["issue_type"] or issue_type in remedy["events"]
        for parameter in remedy["parameters"]
    }
    return {name: _value(types.get(name), text) for name, text in given.items()}


def _value(kind: str | None, text: str) -> Any:
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in ("integer", "number"):
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError:
            return text
    return text
