"""The database, as the command line opens it: what is wrong with it comes as a line, not as a traceback."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from cli.errors import CommandFailed
from store.engine import UnsafeSqlite, connect
from store.settings import ServerSettings


@contextmanager
def open_database(environment: Mapping[str, str]) -> Iterator[Engine]:
    """Give an engine on the server's database; failures of the database in the block raise CommandFailed."""
    settings = ServerSettings.from_environment(environment)
    try:
        engine = connect(settings.database_url)
    except (UnsafeSqlite, ValueError) as error:
        raise CommandFailed(str(error)) from None
    try:
        yield engine
    except DBAPIError as error:
        first_line = str(error.orig).strip().partition("\n")[0]
        raise CommandFailed(f"the database at {engine.url.render_as_string()}: {first_line}") from None
    finally:
        engine.dispose()
