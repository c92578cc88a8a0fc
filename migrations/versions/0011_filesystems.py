"""History of the filesystems of each host, for disk_forecast."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "filesystem_history",
        sa.Column("host_id", Id, nullable=False),
        sa.Column("mounts", sa.LargeBinary(), nullable=False, comment="their names, a MessagePack array"),
        sa.Column(
            "points", sa.LargeBinary(), nullable=False, comment="store.filesystems.point_type, from the oldest on"
        ),
        sa.Column("next_at", sa.Double(), nullable=False, comment="when to read the host's details again"),
        sa.Column(
            "tracks",
            sa.LargeBinary(),
            nullable=True,
            comment="pending and open disk_forecast (worker.events); NULL for none",
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_filesystem_history_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_filesystem_history")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "filesystem_lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("read_at", sa.Double(), nullable=False, comment="when its hosts were last looked through"),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_filesystem_lanes")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE filesystem_history ALTER COLUMN points SET STORAGE EXTERNAL")
