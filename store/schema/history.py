"""Snapshots, and their history at 5 minutes and at 1 hour."""

from sqlalchemy import REAL, BigInteger, Column, Double, Index, Integer, LargeBinary, SmallInteger, Table

from store.schema.columns import Id, metadata

snapshots = Table(
    "snapshots",
    metadata,
    Column("host_id", BigInteger, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("taken_at", Double, nullable=False),
    Column("interval_seconds", REAL, nullable=False),
    Column("core", LargeBinary, nullable=False, comment="float32 a metric, big-endian, NaN for missing"),
    Index("ix_snapshots_host_id_taken_at", "host_id", "taken_at"),
    # By receive time: a host with a wrong clock can then not miss every partition.
    postgresql_partition_by="RANGE (received_at)",
)


def _rollups(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("host_id", BigInteger, primary_key=True, autoincrement=False),
        Column("start_at", Double, primary_key=True, comment="of the bucket"),
        Column("snapshots", Integer, nullable=False, comment="how many are behind the values"),
        Column("counts", LargeBinary, comment="int32 a metric, where one is not in every snapshot"),
        Column(
            "aggregates",
            LargeBinary,
            nullable=False,
            comment="float32 a metric, NaN for missing: averages, minima, maxima",
        ),
        postgresql_partition_by="RANGE (start_at)",
        # A chart reads one host's rows: SQLite then has them side by side.
        sqlite_with_rowid=False,
    )


rollups_5m = _rollups("rollups_5m")

rollups_1h = _rollups("rollups_1h")

rollup_backlog = Table(
    "rollup_backlog",
    metadata,
    Column("id", Id, primary_key=True),
    Column("lane", Integer, nullable=False),
    Column("start_at", Double, nullable=False, comment="of the 5-minute bucket"),
    Column("metrics", SmallInteger, nullable=False, comment="how many there are in each row"),
    Column("batch", LargeBinary, nullable=False, comment="of one bucket: host id, then float32 a metric"),
    Index("ix_rollup_backlog_lane_start_at", "lane", "start_at"),
    # A batch fills a page; moved out of line it would cost ten times as much.
    postgresql_with={"toast_tuple_target": 8160},
)

rollup_lanes = Table(
    "rollup_lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("hours_until", Double, nullable=False, comment="the hours before are rolled up"),
)
