"""History at 5 minutes and at 1 hour, and what of the snapshots is not in it yet."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLLUPS = ("rollups_5m", "rollups_1h")


def upgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    for name in ROLLUPS:
        op.create_table(
            name,
            sa.Column("host_id", sa.BigInteger(), nullable=False),
            sa.Column("start_at", sa.Double(), nullable=False, comment="of the bucket"),
            sa.Column("snapshots", sa.Integer(), nullable=False, comment="how many are behind the values"),
            sa.Column(
                "counts", sa.LargeBinary(), nullable=True, comment="int32 a metric, where one is not in every snapshot"
            ),
            sa.Column(
                "aggregates",
                sa.LargeBinary(),
                nullable=False,
                comment="float32 a metric, NaN for missing: averages, minima, maxima",
            ),
            sa.PrimaryKeyConstraint("host_id", "start_at", name=op.f(f"pk_{name}")),
            postgresql_partition_by="RANGE (start_at)",
            sqlite_with_rowid=False,
        )
    op.create_table(
        "rollup_backlog",
        sa.Column("id", Id, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("start_at", sa.Double(), nullable=False, comment="of the 5-minute bucket"),
        sa.Column("metrics", sa.SmallInteger(), nullable=False, comment="how many there are in each row"),
        sa.Column("batch", sa.LargeBinary(), nullable=False, comment="of one bucket: host id, then float32 a metric"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_backlog")),
        # A batch fills a page; moved out of line it would cost ten times as much.
        postgresql_with={"toast_tuple_target": 8160},
    )
    op.create_index("ix_rollup_backlog_lane_start_at", "rollup_backlog", ["lane", "start_at"])
    op.create_table(
        "rollup_lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hours_until", sa.Double(), nullable=False, comment="the hours before are rolled up"),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_rollup_lanes")),
    )
    if on_postgres:
        op.execute("ALTER TABLE rollup_backlog ALTER COLUMN batch SET STORAGE EXTERNAL")
        for name in ROLLUPS:
            op.execute(f"CREATE TABLE {name}_default PARTITION OF {name} DEFAULT")
