"""``fleetmedic hosts``: the fleet at a glance."""

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from cli.api_client import ApiClient
from cli.arguments import add_data_dir
from cli.server_file import find_server
from cli.tables import ago, percent, table

_HEADER = ("NAME", "HEALTH", "LAST SEEN", "CPU", "MEMORY", "DISK", "OPEN EVENTS", "TAGS")
_NUMBERS = frozenset((3, 4, 5, 6))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object: {items: [host, ...]}")
    add_data_dir(parser)


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Print all hosts."""
    api = ApiClient.from_environment(find_server(environment, arguments.data_dir))
    hosts = list(api.items("/api/v1/hosts", limit="1000"))
    if arguments.json:
        print(json.dumps({"items": hosts}, indent=2))
    elif hosts:
        now = time.time()
        print(table(_HEADER, [_row(host, now) for host in hosts], _NUMBERS))
    else:
        print("no hosts yet: `fleetmedic enroll NAME` lets one in")
    return 0


def _row(host: dict[str, Any], now: float) -> list[str]:
    metrics = host["metrics"]
    return [
        host["name"],
        host["health"] if host["monitoring"] else f"{host['health']}, paused",
        ago(host["last_seen"], now),
        percent(metrics["cpu_percent"]),
        percent(metrics["memory_percent"]),
        percent(metrics["disk_percent"]),
        str(host["open_events"]),
        " ".join(host["tags"]),
    ]
