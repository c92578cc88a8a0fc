"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Document = sa.JSON().with_variant(postgresql.JSONB, "postgresql")

# As the catalogue stood; a migration never changes, so it does not ask the code of today.
METRICS = (
    "cpu_percent",
    "cpu_user_percent",
    "cpu_system_percent",
    "cpu_iowait_percent",
    "cpu_steal_percent",
    "cpu_core_max_percent",
    "load_1",
    "load_5",
    "load_15",
    "memory_percent",
    "memory_total_bytes",
    "memory_used_bytes",
    "memory_available_bytes",
    "swap_percent",
    "swap_used_bytes",
    "swap_in_bytes_per_second",
    "swap_out_bytes_per_second",
    "disk_percent",
    "disk_inodes_percent",
    "disk_read_bytes_per_second",
    "disk_write_bytes_per_second",
    "disk_read_operations_per_second",
    "disk_write_operations_per_second",
    "disk_busy_percent",
    "network_receive_bytes_per_second",
    "network_transmit_bytes_per_second",
    "network_errors_per_second",
    "network_drops_per_second",
    "tcp_connections",
    "tcp_retransmits_per_second",
    "processes",
    "threads",
    "open_files",
    "context_switches_per_second",
    "pressure_cpu_percent",
    "pressure_memory_percent",
    "pressure_io_percent",
    "uptime_seconds",
    "temperature_celsius",
    "process_cpu_max_percent",
    "process_memory_max_percent",
    "services_not_running",
    "disks_failing",
    "collector_cpu_percent",
    "collector_memory_bytes",
)
SHARDS = 64


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", Id, nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column(
            "host_id", sa.BigInteger(), nullable=True, comment="as the entry claims; NULL where it could not be read"
        ),
        sa.Column("incarnation", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False, comment="its first 4 KiB"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("run_at", sa.Double(), nullable=False, comment="the lease: who moves it forward does the work"),
        sa.Column("since", sa.Double(), nullable=False, comment="start of the present unbroken run of this duty"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duties")),
    )
    op.create_table(
        "hosts",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False, comment="HMAC key of the host's entries"),
        sa.Column("enrolled_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True, comment="from then on its entries are refused"),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "monitoring_changed_at", sa.Double(), nullable=False, comment="last start or stop, or the enrollment"
        ),
        sa.Column(
            "interval_seconds", sa.Double(), nullable=True, comment="asked of the collector; NULL leaves its own"
        ),
        sa.Column("services", Document, nullable=False, comment="names of the watched services"),
        sa.Column("minimum_incarnation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("name", name=op.f("uq_hosts_name")),
    )
    op.create_table(
        "shards",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "version", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="one up with every drain"
        ),
        sa.Column(
            "caught_up_at", sa.Double(), server_default=sa.text("0"), nullable=False, comment="inbox last seen empty"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shards")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "snapshots",
        sa.Column("host_id", sa.BigInteger(), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.Column("interval_seconds", sa.REAL(), nullable=False),
        *(sa.Column(name, sa.REAL(), nullable=True) for name in METRICS),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index("ix_snapshots_host_id_taken_at", "snapshots", ["host_id", "taken_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", Id, nullable=False),
        sa.Column("host_id", Id, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column(
            "subject", sa.String(length=1024), nullable=False, comment="empty where the host itself is the subject"
        ),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("limit_value", sa.Double(), nullable=True),
        sa.Column("first_value", sa.Double(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True, comment="the last one seen"),
        sa.Column("peak_value", sa.Double(), nullable=True),
        sa.Column("peak_at", sa.Double(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False, comment="when it was first seen, before it opened"),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False, comment="when it was last seen"),
        sa.Column("resolved_at", sa.Double(), nullable=True),
        sa.Column("cleared_at", sa.Double(), nullable=True, comment="hidden from the default view since"),
        sa.Column("evidence", Document, nullable=False),
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_events_severity")),
        sa.CheckConstraint("state IN ('open', 'resolved')", name=op.f("ck_events_state")),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_events_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("ix_events_host_id_opened_at", "events", ["host_id", "opened_at"], unique=False)
    op.create_index("ix_events_opened_at", "events", ["opened_at"], unique=False)
    op.create_index(
        "uq_events_open",
        "events",
        ["host_id", "type", "subject"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "host_details",
        sa.Column("host_id", Id, nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False, comment="wire.snapshot.Details as it came"),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_host_details_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_details")),
    )
    op.create_table(
        "host_state",
        sa.Column("host_id", Id, nullable=False),
        sa.Column("incarnation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="the last one committed"
        ),
        sa.Column(
            "body_crc",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="CRC-32 of that one's body",
        ),
        sa.Column(
            "received_at",
            sa.Double(),
            nullable=True,
            comment="the worker's clock at the last snapshot; NULL before the first",
        ),
        sa.Column("taken_at", sa.Double(), nullable=True, comment="of the last snapshot, corrected"),
        sa.Column("interval_seconds", sa.REAL(), server_default=sa.text("30"), nullable=False),
        sa.Column("cpu_percent", sa.REAL(), nullable=True, comment="of the last snapshot, for cpu_spike"),
        sa.Column(
            "tracks", sa.LargeBinary(), nullable=True, comment="pending and open events (worker.events); NULL for none"
        ),
        sa.Column("impossible_values", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("discarded_entries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_host_state_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_state")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "tags",
        sa.Column("host_id", Id, nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_tags_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", "tag", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_tag"), "tags", ["tag"], unique=False)
    op.create_table(
        "gaps",
        sa.Column("host_id", Id, nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False, comment="first of the run that the host dropped"),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("first_taken_at", sa.Double(), nullable=True),
        sa.Column("last_taken_at", sa.Double(), nullable=True),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_gaps_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", "incarnation", "first_sequence", name=op.f("pk_gaps")),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Rows of a day that has no partition yet land here, instead of aborting their drain.
        op.execute("CREATE TABLE snapshots_default PARTITION OF snapshots DEFAULT")
    shards = sa.table("shards", sa.column("id"))
    op.bulk_insert(shards, [{"id": shard} for shard in range(SHARDS)])
