"""The metrics of a snapshot are one packed column, as in the roll-ups."""

import math
import struct

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

# The columns as they stood, which is the catalogue's order.
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
KEY = "host_id, incarnation, sequence, received_at, taken_at, interval_seconds"


def upgrade() -> None:
    # A new table, not new columns: those that are dropped stay in every row's description, and cost each insert.
    op.drop_index("ix_snapshots_host_id_taken_at", "snapshots")
    op.rename_table("snapshots", "old_snapshots")
    if op.get_bind().dialect.name == "postgresql":
        _fill_on_postgres()
    else:
        _fill_on_sqlite()
    op.drop_table("old_snapshots")
    op.create_index("ix_snapshots_host_id_taken_at", "snapshots", ["host_id", "taken_at"])


def _create() -> None:
    op.create_table(
        "snapshots",
        sa.Column("host_id", sa.BigInteger(), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.Column("interval_seconds", sa.REAL(), nullable=False),
        sa.Column("core", sa.LargeBinary(), nullable=False, comment="float32 a metric, big-endian, NaN for missing"),
        postgresql_partition_by="RANGE (received_at)",
    )


def _fill_on_postgres() -> None:
    partitions = op.get_bind().execute(
        sa.text(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'old_snapshots'::regclass ORDER BY 1"
        )
    )
    packed = " || ".join(f"float4send(coalesce({name}, 'NaN'))" for name in METRICS)
    _create()
    for name, bound in partitions.all():
        op.rename_table(name, f"old_{name}")
        op.execute(f"CREATE TABLE {name} PARTITION OF snapshots {bound}")
        op.execute(f"INSERT INTO {name} SELECT {KEY}, {packed} FROM old_{name}")  # noqa: S608 - names of our own


def _fill_on_sqlite() -> None:
    driver = op.get_bind().connection.dbapi_connection
    assert driver is not None
    driver.create_function("pack_metrics", len(METRICS), _pack)
    _create()
    # In the order in which they were received: retention finds the oldest by it.
    op.execute(
        f"INSERT INTO snapshots SELECT {KEY}, pack_metrics({', '.join(METRICS)}) FROM old_snapshots ORDER BY rowid"  # noqa: S608
    )
    driver.create_function("pack_metrics", len(METRICS), None)


def _pack(*values: float | None) -> bytes:
    return struct.pack(f">{len(METRICS)}f", *(math.nan if value is None else value for value in values))
