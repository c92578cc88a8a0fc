"""``fleetmedic bench faults`` on the command line: what it takes, and what it prints."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any

from cli.arguments import minutes, whole_number
from cli.errors import CommandFailed


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--minutes",
        type=minutes,
        default=5.0,
        metavar="M",
        help="of faults; every kind is done once, even if that takes longer (default: %(default)g)",
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**32), default=1, metavar="S", help="of the schedule (default: %(default)s)"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="KIND",
        help="leave out a kind of fault, say spool_disk_full and database_disk_full where nothing may be mounted; "
        "may be given several times",
    )


def run(arguments: Namespace, environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run the bench; return 1 where anything is wrong, or a kind of fault never came."""
    from cli.bench.faults import bench
    from cli.bench.faults.hazards import KINDS

    unknown = [kind for kind in arguments.without if kind not in KINDS]
    if unknown:
        raise CommandFailed(f"--without {unknown[0]}: that is no kind of fault; the kinds are {', '.join(KINDS)}")
    plan = bench.Plan(arguments.minutes, arguments.seed, frozenset(arguments.without))
    figures = bench.run(plan, environment, say)
    print(json.dumps(figures, indent=2) if arguments.json else _summary(figures))
    if bench.is_clean(figures):
        return 0
    print("fleetmedic: not everything is in the database as it was made, or not every fault came", file=sys.stderr)
    return 1


def _summary(figures: Mapping[str, Any]) -> str:
    faults = [
        f"{kind:28}{count:>5,}{_seconds(figures, kind, 'median')}{_seconds(figures, kind, 'max')}"
        for kind, count in figures["faults"].items()
    ]
    return "\n".join(
        [
            f"{figures['database_version']}, Redis {figures['redis_version']}, {figures['hosts']} hosts, "
            f"{figures['workers']} workers, {figures['seconds']:g} s of faults, seed {figures['seed']}",
            "",
            f"{'fault':28}{'times':>5}{'median':>9}{'longest':>9}  s until all hosts are acknowledged again",
            *faults,
            *(f"{kind:28} left out" for kind in figures["without"]),
            "",
            f"snapshots  {figures['produced']:,} made, {figures['stored']:,} stored, {figures['declared']:,} declared "
            f"lost by full spools, {figures['lost']:,} lost, {figures['duplicated']:,} twice, "
            f"{figures['changed']:,} changed, {figures['unacknowledged']:,} unacknowledged",
            f"events     {figures['events']:,} stored, {figures['wrong_events']:,} wrong",
            *figures["findings"],
        ]
    )


def _seconds(figures: Mapping[str, Any], kind: str, which: str) -> str:
    spent = figures["recovery_seconds"].get(kind)
    return f"{'-':>9}" if spent is None else f"{spent[which]:9.2f}"
