"""``fleetmedic worker``: take in what the collectors push."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from cli.arguments import whole_number


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--concurrency",
        type=whole_number(1, 64),
        metavar="N",
        help="processes that drain at the same time (default: one a CPU; 1 on SQLite, which has one writer)",
    )


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Work until told to stop."""
    from store.settings import ServerSettings
    from worker.app import main

    settings = ServerSettings.from_environment(environment)
    usual = 1 if settings.database_url.startswith("sqlite") else os.cpu_count() or 1
    return main(settings, arguments.concurrency or usual)
