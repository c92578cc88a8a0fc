import hashlib
import importlib
import math
from pathlib import Path

import numpy as np
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

import migrations
from store import retention, scripts
from store.engine import connect, reading, writing
from store.schema import metadata

table_of_0001 = importlib.import_module("migrations.versions.0001_first_tables")


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


def test_metrics_that_were_columns_are_packed_where_they_are(database_url: str) -> None:
    engine = connect(database_url)
    names = table_of_0001.METRICS
    values = {"cpu_percent": 12.5, "load_1": 0.1, "memory_total_bytes": 1e12, "collector_memory_bytes": 7.0}
    rows = [(3, 1_800_000_000.0, {}), (1, 1_800_000_001.0, values), (2, 1_800_100_000.0, dict.fromkeys(names, 1.0))]
    migrations.upgrade(engine, "0016")
    on_postgres = engine.dialect.name == "postgresql"
    if on_postgres:
        retention.make_partitions(engine, 1_800_000_000.0)
    with writing(engine) as connection:
        for host_id, received_at, metrics in rows:
            row = {"host_id": host_id, "incarnation": 2, "sequence": 3, "received_at": received_at}
            row |= {"taken_at": received_at - 0.5, "interval_seconds": 0.1} | metrics
            places = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO snapshots ({', '.join(row)}) VALUES ({places})"), row)
        partitions = _partitions(connection) if on_postgres else []
    migrations.upgrade(engine)
    with reading(engine) as connection:
        order = "received_at" if on_postgres else "rowid"
        stored = connection.exec_driver_sql(f"SELECT * FROM snapshots ORDER BY {order}").all()
        assert [tuple(row)[:5] for row in stored] == [(one, 2, 3, at, at - 0.5) for one, at, _ in rows]
        assert {row.interval_seconds for row in stored} <= {0.1, float(np.float32(0.1))}
        for row, (_, _, metrics) in zip(stored, rows, strict=True):
            expected = [metrics.get(name, math.nan) for name in names]
            np.testing.assert_array_equal(np.frombuffer(row.core, ">f4"), np.array(expected, np.float32))
        if on_postgres:
            assert _partitions(connection) == partitions
            assert len(partitions) == 5
    engine.dispose()


def _partitions(connection: Connection) -> list[tuple[str, ...]]:
    """Names, bounds, indexes and numbers of rows of the partitions of ``snapshots``."""
    found = connection.exec_driver_sql(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), x.indexrelid::regclass::text "
        "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_index x ON x.indrelid = c.oid "
        "WHERE i.inhparent = 'snapshots'::regclass ORDER BY 1"
    ).all()
    return [(*row, connection.exec_driver_sql(f"SELECT count(*) FROM {row[0]}").scalar_one()) for row in found]


def test_a_step_is_named_by_its_revision_and_head_is_the_last_one() -> None:
    steps = list(ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions())
    assert steps[0].revision == migrations.head()
    assert [Path(step.path).name[:5] for step in steps] == [f"{step.revision}_" for step in steps]
