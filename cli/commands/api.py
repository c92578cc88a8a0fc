"""``fleetmedic api``: serve the JSON API."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from cli.arguments import DEFAULT_PORT, port
from cli.loading import loading


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=port, default=DEFAULT_PORT, metavar="P", help="port to listen on (default: %(default)s)"
    )


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Serve until told to stop."""
    with loading():
        from api.server import main
        from store.settings import ServerSettings

    return main(ServerSettings.from_environment(environment), arguments.host, arguments.port)
