"""What the detector of deviations remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "deviation_lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Double(), nullable=False, comment="the 5-minute buckets before were looked at"),
        sa.Column(
            "memory",
            sa.LargeBinary(),
            nullable=False,
            comment="worker.detection.deviation.detector.pack, by place in lane",
        ),
        sa.Column(
            "tracks",
            sa.LargeBinary(),
            nullable=True,
            comment="pending and open deviations (worker.events), by host; NULL for none",
        ),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_deviation_lanes")),
    )
    op.create_table(
        "deviation_seasons",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "slot",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="quarter of an hour of the day, UTC; from 96 on of weekends",
        ),
        sa.Column("season", sa.LargeBinary(), nullable=False, comment="float32 a metric, by place in lane"),
        sa.PrimaryKeyConstraint("lane", "slot", name=op.f("pk_deviation_seasons")),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Megabytes of float32 do not become smaller by pglz, only later.
        op.execute("ALTER TABLE deviation_lanes ALTER COLUMN memory SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE deviation_seasons ALTER COLUMN season SET STORAGE EXTERNAL")
