import hashlib

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

import migrations
from store import scripts
from store.engine import connect, reading, writing
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


def test_scripts_that_were_made_before_texts_were_stored_once_stay_as_they_are(database_url: str) -> None:
    engine = connect(database_url)
    migrations.upgrade(engine, "0015")
    contents = ["#!/bin/sh\necho 'a'\n", "#!/bin/sh\necho 'a'\n", "#!/bin/sh\necho 'b'\n", None]
    sums = [content and hashlib.sha256(content.encode()).hexdigest() for content in contents]
    insert = text(
        "INSERT INTO scripts (issue_type, script_type, automatic, given, state, requested_at, rung_at, content, sha256)"
        " VALUES ('disk_full', 'bash', false, '{}', :state, 1, 1, :content, :sha256)"
    )
    with writing(engine) as connection:
        for content, sha256 in zip(contents, sums, strict=True):
            connection.execute(
                insert, {"state": "ready" if content else "queued", "content": content, "sha256": sha256}
            )
    migrations.upgrade(engine)
    with reading(engine) as connection:
        found = [scripts.find(connection, one.id) for one in reversed(scripts.page(connection, limit=9))]
    assert [(one.content, one.sha256) for one in found if one] == list(zip(contents, sums, strict=True))
    engine.dispose()
