"""Alembic migrations: the same numbered steps on SQLite and on Postgres.

A step adds what the next release needs and leaves what the last one reads, so that services restart in any order.
"""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from store.engine import reading, writing

# Any number; the same in every process, so that two upgrades of one database wait for each other.
_UPGRADE_LOCK = 0x666C6D64
_FOLDER = Path(__file__).parent


def head() -> str:
    """Return the revision that this code is written for."""
    return max(step.name[:4] for step in (_FOLDER / "versions").glob("[0-9]*.py"))


def current(engine: Engine) -> str | None:
    """Return the revision of a database, None where nothing was ever built."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return revision


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring a database to this revision, in one transaction; two at a time wait for each other."""
    # Alembic is loaded here alone: worker and API only compare revisions, and start sooner without it.
    from alembic import command
    from alembic.config import Config

    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
        config = Config()
        config.set_main_option("script_location", str(_FOLDER))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def wait_until_reachable(engine: Engine, say: Callable[[str], None]) -> None:
    """Wait until the database answers, saying once why not, and once when it does."""
    _wait(engine, say, lambda: None)


def wait_until_current(engine: Engine, say: Callable[[str], None]) -> None:
    """Wait until the database answers and has this code's tables, saying once what is missing."""

    def lag() -> str | None:
        revision = current(engine)
        if revision == head():
            return None
        return f"the database is at revision {revision}, this version needs {head()}: run `fleetmedic db upgrade`"

    _wait(engine, say, lag)


def _wait(engine: Engine, say: Callable[[str], None], lag: Callable[[], str | None]) -> None:
    said = None
    pause_seconds = 0.1
    while True:
        try:
            with reading(engine):
                pass
            problem = lag()
        except DBAPIError as error:
            first_line = str(error.orig).strip().partition("\n")[0]
            problem = f"the database at {engine.url.render_as_string()} does not answer: {first_line}"
        if problem is None:
            if said is not None:
                say("the database is ready")
            return
        if problem != said:
            say(f"waiting: {problem}")
            said = problem
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, 2.0)
