"""``fleetmedic worker``: take in what the collectors push, and write the scripts."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping

from cli.arguments import whole_number
from cli.errors import CommandFailed
from cli.loading import loading
from wire.keys import QUEUE_INGEST, QUEUE_SCRIPTS


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--concurrency",
        type=whole_number(1, 64),
        metavar="N",
        help="processes that drain at the same time (default: one a CPU; 1 on SQLite, which has one writer)",
    )
    parser.add_argument(
        "--queues",
        type=_queues,
        metavar="Q[,Q]",
        help="which work to do: ingest, scripts, or both (the default), for workers that do one thing",
    )


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Work until told to stop."""
    with loading():
        from store.engine import UnsafeSqlite
        from store.settings import ServerSettings
        from worker.app import QUEUES, main

    settings = ServerSettings.from_environment(environment)
    usual = 1 if settings.database_url.startswith("sqlite") else os.cpu_count() or 1
    try:
        return main(settings, arguments.concurrency or usual, arguments.queues or QUEUES)
    except UnsafeSqlite as error:
        raise CommandFailed(str(error)) from None


def _queues(text: str) -> list[str]:
    named = text.split(",")
    unknown = [name for name in named if name not in (QUEUE_INGEST, QUEUE_SCRIPTS)]
    if unknown:
        raise ArgumentTypeError(f"{unknown[0]!r} is no queue: {QUEUE_INGEST} and {QUEUE_SCRIPTS} are")
    return named
