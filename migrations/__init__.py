"""Alembic migrations: the same numbered steps on SQLite and on Postgres.

A step adds what the next release needs and leaves what the last one reads, so that services restart in any order.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from store.engine import reading, writing

# Any number; the same in every process, so that two upgrades of one database wait for each other.
_UPGRADE_LOCK = 0x666C6D64


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """Return the revision that this code is written for."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current(engine: Engine) -> str | None:
    """Return the revision of a database, None where nothing was ever built."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> None:
    """Bring a database to head, in one transaction; two at a time wait for each other."""
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
