"""Fix scripts and the remedies they come from; browsers that signed in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Document = sa.JSON().with_variant(postgresql.JSONB, "postgresql")


def upgrade() -> None:
    op.create_table(
        "remedies",
        sa.Column("issue_type", sa.String(64), nullable=False),
        sa.Column("document", Document, nullable=False, comment="store.remedies.Remedy, as the workers published it"),
        sa.Column("published_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("issue_type", name=op.f("pk_remedies")),
    )
    op.create_table(
        "scripts",
        sa.Column("id", Id, nullable=False),
        sa.Column("issue_type", sa.String(64), nullable=False, comment="the remedy"),
        sa.Column("script_type", sa.String(16), nullable=False),
        sa.Column("host_id", Id, nullable=True, comment="NULL for no host in particular"),
        sa.Column("event_id", Id, nullable=True, comment="the event that it answers"),
        sa.Column("automatic", sa.Boolean(), nullable=False, comment="asked for by the drain that opened its event"),
        sa.Column("given", Document, nullable=False, comment="parameters that were asked for, by name"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_at", sa.Double(), nullable=False),
        sa.Column("rung_at", sa.Double(), nullable=False, comment="when a worker was last told of it"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ready_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="why it failed, for a person"),
        sa.Column("parameters", Document, nullable=True, comment="as rendered: complete, with defaults and evidence"),
        sa.Column("remedy_version", sa.String(32), nullable=True),
        sa.Column("filename", sa.String(255), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("run_command", sa.Text(), nullable=True),
        sa.Column("requires_admin", sa.Boolean(), nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'ready', 'failed')", name=op.f("ck_scripts_state")),
        sa.CheckConstraint("script_type IN ('bash', 'powershell')", name=op.f("ck_scripts_script_type")),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_scripts_host_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_scripts_event_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scripts")),
    )
    for name, column, where, unique in (
        ("uq_scripts_event_id", "event_id", "automatic", True),
        ("ix_scripts_rung_at", "rung_at", "state = 'queued'", False),
    ):
        op.create_index(
            name, "scripts", [column], unique=unique, postgresql_where=sa.text(where), sqlite_where=sa.text(where)
        )
    op.create_index("ix_scripts_event_id_id", "scripts", ["event_id", "id"])
    op.create_index("ix_scripts_host_id_id", "scripts", ["host_id", "id"])
    op.create_table(
        "sign_in_codes",
        sa.Column("code_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("code_sha256", name=op.f("pk_sign_in_codes")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False, comment="of the browser's cookie"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_sessions")),
    )
