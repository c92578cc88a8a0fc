"""What people set of the rules."""

from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Integer, String, Table, text

from store.schema.columns import Id, OptionalDocument, metadata

policies = Table(
    "policies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("tag", String(64), nullable=False, comment="empty unless the scope is one"),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), comment="NULL unless the scope is a host"),
    Column("type", String(64), nullable=False, comment="of the events"),
    Column("subject", String(1024), nullable=False, comment="a name or a pattern; empty for every subject"),
    Column("version", Integer, nullable=False),
    Column("settings", OptionalDocument, comment="store.policy_types.Settings; NULL once removed"),
    Column("in_force", Boolean, nullable=False, comment="false once removed"),
    Column("changed_at", Double, nullable=False),
    Column("changed_by", String(255), nullable=False),
    CheckConstraint("scope IN ('fleet', 'tag', 'host')", name="scope"),
    Index(
        "uq_policies_shared",
        "scope",
        "tag",
        "type",
        "subject",
        unique=True,
        postgresql_where=text("host_id IS NULL"),
        sqlite_where=text("host_id IS NULL"),
    ),
    Index(
        "uq_policies_host",
        "host_id",
        "type",
        "subject",
        unique=True,
        postgresql_where=text("host_id IS NOT NULL"),
        sqlite_where=text("host_id IS NOT NULL"),
    ),
)

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("policy_id", ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("settings", OptionalDocument, comment="NULL where this version removed it"),
    Column("changed_at", Double, nullable=False),
    Column("changed_by", String(255), nullable=False),
)
