"""Events that belong together are an incident; maintenance and a host that is down mute events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Document = sa.JSON().with_variant(postgresql.JSONB, "postgresql")

DOWN = sa.text("state = 'open' AND type = 'host_down'")
COUNTING = sa.text("state = 'open' AND NOT muted")
MUTED = sa.text("state = 'open' AND muted")
EVER_MUTED = sa.text("muted_by IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", Id, nullable=False),
        sa.Column("host_id", Id, nullable=True, comment="NULL where it is of many hosts"),
        sa.Column("type", sa.String(64), nullable=True, comment="that its events share; NULL where it is of one host"),
        sa.Column(
            "tags", Document, nullable=False, comment="that its hosts share, the narrowest first; empty for one host"
        ),
        sa.Column("opened_at", sa.Double(), nullable=False, comment="of its first event"),
        sa.Column("last_opened_at", sa.Double(), nullable=False, comment="of its last event"),
        sa.Column(
            "merged_into", sa.BigInteger(), nullable=True, comment="the incident that took its events; it has none then"
        ),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_incidents_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index("ix_incidents_opened_at", "incidents", ["opened_at"])
    op.create_index("ix_incidents_last_opened_at", "incidents", ["last_opened_at"])
    op.create_index("ix_incidents_host_id_opened_at", "incidents", ["host_id", "opened_at"])
    op.create_table(
        "maintenance_windows",
        sa.Column("id", Id, nullable=False),
        sa.Column("host_id", Id, nullable=True),
        sa.Column("tag", sa.String(64), nullable=True, comment="with host_id NULL too: of the whole fleet"),
        sa.Column("starts_at", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=True, comment="NULL for never"),
        sa.Column("reason", sa.String(1024), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("ended_by", sa.String(64), nullable=True, comment="who made it end early, at ends_at"),
        sa.CheckConstraint("host_id IS NULL OR tag IS NULL", name=op.f("ck_maintenance_windows_scope")),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_maintenance_windows_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_windows")),
    )
    op.create_index("ix_maintenance_windows_host_id", "maintenance_windows", ["host_id"])
    op.create_index("ix_maintenance_windows_ends_at", "maintenance_windows", ["ends_at"])
    for column in (
        sa.Column("incident_id", sa.BigInteger(), nullable=True, comment="NULL until the duty triage has seen it"),
        sa.Column(
            "muted", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="now, or until it resolved"
        ),
        sa.Column("muted_by", sa.String(16), nullable=True, comment="what mutes it, or did so last"),
        sa.Column(
            "muted_by_id", sa.BigInteger(), nullable=True, comment="the event host_down, or the maintenance window"
        ),
    ):
        op.add_column("events", column)
    op.create_index("ix_events_incident_id_opened_at", "events", ["incident_id", "opened_at"])
    op.create_index("ix_events_host_down", "events", ["host_id"], postgresql_where=DOWN, sqlite_where=DOWN)
    op.create_index(
        "ix_events_counting",
        "events",
        ["host_id", "type"],
        postgresql_where=COUNTING,
        sqlite_where=COUNTING,
    )
    op.create_index("ix_events_muted", "events", ["muted_by_id"], postgresql_where=MUTED, sqlite_where=MUTED)
    op.create_index(
        "ix_events_muted_by",
        "events",
        ["muted_by", "muted_by_id"],
        postgresql_where=EVER_MUTED,
        sqlite_where=EVER_MUTED,
    )
