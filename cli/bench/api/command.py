"""``fleetmedic bench api`` on the command line: what it takes, and what it prints."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any

from cli.arguments import whole_number


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--hosts", type=whole_number(1, 1_000_000), default=10_000, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--whole-hosts",
        type=whole_number(1, 1_000_000),
        default=1000,
        metavar="N",
        help="of how many there are a day of snapshots and 30 days of roll-ups; of the others there is the last hour "
        "(default: %(default)s, at most all)",
    )
    parser.add_argument(
        "--rate",
        type=whole_number(1, 1000),
        default=20,
        metavar="N",
        help="requests a second, all routes together (default: %(default)s)",
    )


def run(arguments: Namespace, environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run the bench; return 1 where a request failed."""
    from cli.bench.api import measure

    whole_hosts = min(arguments.whole_hosts, arguments.hosts)
    plan = measure.Plan(arguments.database, arguments.hosts, whole_hosts, arguments.seconds, arguments.rate)
    figures = measure.run(plan, environment, say)
    print(json.dumps(figures, indent=2) if arguments.json else _summary(figures))
    for failure in figures["failures"]:
        print(f"fleetmedic: {failure}", file=sys.stderr)
    return 1 if figures["failures"] else 0


def _summary(figures: Mapping[str, Any]) -> str:
    rows = figures["rows"]
    routes = "\n".join(
        f"{route:15s}{times['p50_ms']:8.1f}{times['p95_ms']:8.1f}{times['p99_ms']:8.1f}"
        for route, times in figures["routes"].items()
    )
    previews = ", ".join(f"{limit}: {milliseconds:.0f}" for limit, milliseconds in figures["previews"].items())
    return f"""\
{figures["database_version"]}, {figures["hosts"]:,} hosts: of {figures["hosts_with_all_history"]:,} a day of snapshots \
and 30 days of roll-ups, of the others the last hour
{rows["snapshots"]:,} snapshots, {rows["rollups_5m"]:,} roll-ups at 5 minutes, {rows["rollups_1h"]:,} at 1 hour, \
{rows["events"]:,} events

milliseconds        p50     p95     p99
{routes}
preview of a CPU limit over a week, milliseconds by limit: {previews}
diagnosis of the fleet, milliseconds: {figures["diagnosis_of_fleet_ms"]:.0f}"""
