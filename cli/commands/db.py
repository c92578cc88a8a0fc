"""``fleetmedic db upgrade``: bring the database to this version."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from cli.arguments import add_data_dir
from cli.server_file import find_server


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", choices=["upgrade"], help="build what is missing; may be run at any time, also twice")
    add_data_dir(parser)


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Upgrade the database, once it answers."""
    import migrations
    from cli.database import open_database

    with open_database(find_server(environment, arguments.data_dir)) as engine:
        migrations.wait_until_reachable(engine, print)
        before = migrations.current(engine)
        migrations.upgrade(engine)
        after = migrations.current(engine)
    print(f"the database is at revision {after}" + ("" if before == after else f" (was: {before or 'empty'})"))
    return 0
