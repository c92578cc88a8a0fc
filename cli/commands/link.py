"""``fleetmedic link``: a fresh link to the page, good once."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from cli.arguments import DEFAULT_PORT, add_data_dir
from cli.errors import CommandFailed
from cli.server_file import find_server


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data_dir(parser)


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Print the link; its code goes straight to the database, so who may read that may sign in."""
    import migrations
    from cli.database import open_database
    from cli.sign_in import sign_in_link
    from store.engine import writing

    known = find_server(environment, arguments.data_dir)
    if "FLEETMEDIC_DATABASE_URL" not in known:
        raise CommandFailed(
            "no server found: start one with `fleetmedic up`, name its data folder with --data-dir, or set "
            "FLEETMEDIC_DATABASE_URL"
        )
    api_url = known.get("FLEETMEDIC_API_URL", f"http://127.0.0.1:{DEFAULT_PORT}").rstrip("/")
    with open_database(known) as engine:
        if migrations.current(engine) != migrations.head():
            raise CommandFailed("the database is not at this version: run `fleetmedic db upgrade`")
        with writing(engine) as connection:
            print(sign_in_link(connection, api_url, time.time()))
    return 0
