import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, insert, update

from store import readings, snapshots
from store.benchmark import tally
from store.engine import reading, writing
from store.enrollment import enroll
from store.schema import host_state
from store.schema import snapshots as table
from store.snapshots import SnapshotRows, insert_snapshots
from tests.core import packed
from wire.metrics import NAMES

FIRST, LAST = NAMES[0], NAMES[-1]
AT = 1_800_000_000.0


def put(connection: Connection, host_id: int, cores: Sequence[bytes]) -> None:
    """Write one snapshot a second with these columns ``core``."""
    same = {"host_id": host_id, "incarnation": 1, "interval_seconds": 1.0}
    for second, core in enumerate(cores):
        times = {"received_at": AT + second, "taken_at": AT + second}
        connection.execute(insert(table), same | times | {"sequence": 1 + second, "core": core})
        connection.execute(update(host_state).where(host_state.c.host_id == host_id).values(times))


def test_what_is_written_in_bulk_is_read_again_bit_by_bit(engine: Engine) -> None:
    random = np.random.default_rng(1)
    core = (10 ** random.uniform(-38, 38, (50, len(NAMES)))).astype(np.float32)
    core[random.random(core.shape) < 0.3] = np.nan
    core[7], core[8] = np.nan, [0.0, -0.0, *core[8, 2:]]
    ids = np.repeat(np.array([3, 2**62]), 25)
    number = np.arange(50)
    interval = np.full(50, 0.1, np.float32)
    with writing(engine) as connection:
        rows = SnapshotRows(ids, 1 + number, 2**62 + number, AT + 1 / 3, AT + number / 7, interval, core)
        insert_snapshots(connection, rows)
    with reading(engine) as connection:
        stored = connection.execute(table.select().order_by(table.c.sequence)).all()
        taken_at, read = snapshots.of_host(connection, 3, NAMES, AT, AT + 100)
        [one] = snapshots.of_host(connection, 3, [FIRST], AT + 1 / 7, AT + 2 / 7)[1]
    assert [tuple(row)[:6] for row in stored] == [
        (host_id, 1 + place, 2**62 + place, AT + 1 / 3, AT + place / 7, np.float32(0.1))
        for place, host_id in enumerate(ids.tolist())
    ]
    assert [row.core for row in stored] == [vector.tobytes() for vector in core.astype(">f4")]
    assert taken_at.tolist() == rows.taken_at[:25].tolist()
    assert read.tobytes() == core[:25].tobytes()
    np.testing.assert_array_equal(one, core[1, :1])


def test_vectors_of_an_older_and_of_a_newer_catalogue_are_read_as_far_as_both_go(engine: Engine) -> None:
    whole = packed(**{FIRST: 1.0, LAST: 9.0})
    with writing(engine) as connection:
        old, new = (enroll(connection, name, now=AT).id for name in ("old", "new"))
        put(connection, old, [whole, whole[:-4]])
        put(connection, new, [whole[:-4], whole + bytes(8)])
    names = [LAST, FIRST]
    with reading(engine) as connection:
        read = snapshots.of_host(connection, old, names, AT, AT + 9)[1]
        latest = snapshots.latest(connection, [old, new], names)
        preview = readings.of_snapshots(connection, LAST, [old, new], readings.Span(AT, AT + 9))
    np.testing.assert_array_equal(read, [[9, 1], [math.nan, 1]])
    np.testing.assert_array_equal([latest[old], latest[new]], [[math.nan, 1], [9, 1]])
    # A preview leaves out what does not have its metric.
    assert (preview.host_id.tolist(), preview.average.tolist()) == ([old, new], [9, 9])


def test_a_tally_counts_the_values_that_are_there(engine: Engine) -> None:
    with writing(engine) as connection:
        one, other = (enroll(connection, name, now=AT).id for name in ("one", "other"))
        put(connection, one, [packed(**{FIRST: 1.0, LAST: 2.0}), packed(), packed(**{FIRST: 1.0})])
        put(connection, other, [packed(**{FIRST: 1.0})])
    with reading(engine) as connection:
        assert tally(connection, apart=other, incarnation=1, rounds=3).samples == 3


def test_a_preview_reads_each_hosts_snapshots_in_the_order_of_their_numbers(engine: Engine) -> None:
    with writing(engine) as connection:
        for host_id, incarnation, sequence, second in [(2, 1, 2, 1), (1, 2, 1, 0), (2, 1, 1, 2), (1, 1, 9, 3)]:
            times = {"received_at": AT, "taken_at": AT + second, "interval_seconds": 1.0}
            number = {"host_id": host_id, "incarnation": incarnation, "sequence": sequence}
            connection.execute(insert(table), number | times | {"core": packed(**{FIRST: 10.0 * second})})
    with reading(engine) as connection:
        read = readings.of_snapshots(connection, FIRST, [1, 2, 3], readings.Span(AT, AT + 9))
        nothing = readings.of_snapshots(connection, FIRST, [3], readings.Span(AT, AT + 9))
    assert read.host_id.tolist() == [1, 1, 2, 2]
    assert (read.at - AT).tolist() == [3, 0, 2, 1]
    assert read.most.tolist() == [30, 0, 20, 10]
    assert len(nothing.at) == 0


def test_the_function_of_the_docs_reads_a_metric_in_sql(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("it is for Postgres")
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    values = [0.0, 1.0, -2.5, float(np.float32(0.1)), 1e12, float(np.float32(1e-45)), float(np.float32(3e38))]
    core = struct.pack(f">{len(values) + 1}f", *values, math.nan)
    with engine.connect() as connection:
        connection.exec_driver_sql(page.partition("```sql\n")[2].partition("\n\n")[0])
        read = connection.exec_driver_sql(
            "SELECT metric(%s, place) FROM generate_series(1, %s) AS place", (core, len(values) + 2)
        ).scalars()
        assert list(read) == [*(float(np.float32(value)) for value in values), None, None]
