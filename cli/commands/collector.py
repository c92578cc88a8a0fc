"""``fleetmedic collector``: watch this host."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments: none, since a service manager passes the settings in the environment."""
    parser.epilog = "Needs FLEETMEDIC_REDIS_URL and FLEETMEDIC_HOST_KEY, as `fleetmedic enroll` prints them."


def run(_arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Collect and push until told to stop."""
    from collector.main import main
    from collector.settings import CollectorSettings

    return main(CollectorSettings.from_environment(environment))
