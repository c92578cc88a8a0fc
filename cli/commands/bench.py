"""``fleetmedic bench``: measure this version."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from cli.bench import ingest


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the benches and the arguments of each."""
    benches = parser.add_subparsers(title="benches", dest="bench", metavar="BENCH", required=True)
    one = benches.add_parser("ingest", help="snapshots a second through Redis, real workers and a real database")
    ingest.add_arguments(one)


def run(arguments: Namespace, _environment: Mapping[str, str]) -> int:
    """Run the bench that is asked for."""
    return ingest.run(arguments)
