from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

import migrations
from store.engine import reading
from store.schema import metadata


def _no_partitions(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
    table = parents.get("table_name") or name or ""
    return not (kind in ("table", "index") and table.startswith(("snapshots_", "rollups_5m_", "rollups_1h_")))


def test_the_tables_are_those_that_the_migrations_build(engine: Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _no_partitions})
        assert compare_metadata(context, metadata) == []


def test_an_upgraded_database_is_at_head_and_a_second_upgrade_does_nothing(engine: Engine) -> None:
    migrations.upgrade(engine)
    assert migrations.current(engine) == migrations.head()
