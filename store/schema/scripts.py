"""Remedies, and the scripts made of them."""

from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Integer, String, Table, Text, text

from store.schema.columns import Document, Id, OptionalDocument, metadata

remedies = Table(
    "remedies",
    metadata,
    Column("issue_type", String(64), primary_key=True),
    Column("document", Document, nullable=False, comment="store.remedies.Remedy, as the workers published it"),
    Column("published_at", Double, nullable=False),
)

own_remedies = Table(
    "own_remedies",
    metadata,
    Column("origin", String(64), primary_key=True, comment="whose folder: SHA-256 of its machine and its path"),
    Column("name", Text, primary_key=True, comment="of the remedy's own folder in it"),
    Column("machine", Text, nullable=False),
    Column("folder", Text, nullable=False, comment="the path of the remedy's own folder"),
    Column("document", OptionalDocument, comment="store.remedies.Remedy; NULL where it is bad"),
    Column("scripts", OptionalDocument, comment="their text by type; NULL where it is bad"),
    Column("fault", Text, comment="what is wrong with it; NULL where it is good"),
    Column("sha256", String(64), nullable=False, comment="of all of it but where it lies"),
    Column("changed_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False, comment="when a worker last found it there"),
)

script_templates = Table(
    "script_templates",
    metadata,
    Column("sha256", String(64), primary_key=True, comment="of its text"),
    Column("content", Text, nullable=False, comment="with one line as marker, where the values belong"),
)

_UNFINISHED = text("state IN ('queued', 'running')")

scripts = Table(
    "scripts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("issue_type", String(64), nullable=False, comment="the remedy"),
    Column("script_type", String(16), nullable=False),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), comment="NULL for no host in particular"),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), comment="the event that it answers"),
    Column("automatic", Boolean, nullable=False, comment="asked for by the drain that opened its event"),
    Column("given", Document, nullable=False, comment="parameters that were asked for, by name"),
    Column("request_key", String(64), comment="the same for the same request; NULL where nobody asked"),
    Column("state", String(16), nullable=False),
    Column("requested_at", Double, nullable=False),
    Column("requested_by", String(255), comment="NULL where it was asked for before 0013"),
    Column("rung_at", Double, nullable=False, comment="when a worker was last told of it"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="how often a worker began"),
    Column("ready_at", Double),
    Column("error", Text, comment="why it failed, for a person"),
    Column("parameters", Document, comment="as rendered: complete, with defaults and evidence"),
    Column("remedy_version", String(32)),
    Column("filename", String(255)),
    Column("description", Text),
    Column("run_command", Text),
    Column("requires_admin", Boolean),
    Column("template_sha256", ForeignKey("script_templates.sha256"), comment="NULL until it is ready"),
    Column("assignments", Text, comment="what takes the place of the marker; NULL for a template without one"),
    Column("sha256", String(64)),
    CheckConstraint("state IN ('queued', 'running', 'ready', 'failed', 'cancelled')", name="state"),
    CheckConstraint("script_type IN ('bash', 'powershell')", name="script_type"),
    Index(
        "uq_scripts_event_id",
        "event_id",
        unique=True,
        postgresql_where=text("automatic"),
        sqlite_where=text("automatic"),
    ),
    Index("ix_scripts_rung_at", "rung_at", postgresql_where=_UNFINISHED, sqlite_where=_UNFINISHED),
    Index("uq_scripts_request_key", "request_key", unique=True, postgresql_where=_UNFINISHED, sqlite_where=_UNFINISHED),
    Index("ix_scripts_event_id_id", "event_id", "id"),
    Index("ix_scripts_host_id_id", "host_id", "id"),
    Index(
        "ix_scripts_sha256_id",
        "sha256",
        "id",
        postgresql_where=text("sha256 IS NOT NULL"),
        sqlite_where=text("sha256 IS NOT NULL"),
    ),
)
