"""Policies: limits for the fleet, a tag or a host, and every version of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("id", Id, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("tag", sa.String(64), nullable=False, comment="empty unless the scope is one"),
        sa.Column("host_id", Id, nullable=True, comment="NULL unless the scope is a host"),
        sa.Column("type", sa.String(64), nullable=False, comment="of the events"),
        sa.Column("subject", sa.String(1024), nullable=False, comment="a name or a pattern; empty for every subject"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("settings", Document, nullable=True, comment="store.policy_types.Settings; NULL once removed"),
        sa.Column("in_force", sa.Boolean(), nullable=False, comment="false once removed"),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("changed_by", sa.String(255), nullable=False),
        sa.CheckConstraint("scope IN ('fleet', 'tag', 'host')", name=op.f("ck_policies_scope")),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_policies_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
    )
    for name, columns, where in (
        ("uq_policies_shared", ["scope", "tag", "type", "subject"], sa.text("host_id IS NULL")),
        ("uq_policies_host", ["host_id", "type", "subject"], sa.text("host_id IS NOT NULL")),
    ):
        op.create_index(name, "policies", columns, unique=True, postgresql_where=where, sqlite_where=where)
    op.create_table(
        "policy_versions",
        sa.Column("policy_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("settings", Document, nullable=True, comment="NULL where this version removed it"),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("changed_by", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name=op.f("fk_policy_versions_policy_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("policy_id", "version", name=op.f("pk_policy_versions")),
    )
