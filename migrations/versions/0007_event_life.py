"""Events are acknowledged, resolved by hand, re-opened and flapping; people write notes on them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("acknowledged_at", sa.Double()),
        sa.Column("acknowledged_by", sa.String(255), comment="who, as far as the API knew"),
        sa.Column("resolved_by", sa.String(255), comment="who resolved it by hand; NULL where it resolved by itself"),
        sa.Column(
            "flapping",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="it opened again and again",
        ),
        sa.Column("openings", sa.Integer(), nullable=False, server_default=sa.text("1")),
        sa.Column("reopened_at", sa.Double(), comment="when it last opened; NULL where that was the first time"),
    ):
        op.add_column("events", column)
    op.create_table(
        "event_notes",
        sa.Column("id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("written_at", sa.Double(), nullable=False),
        sa.Column("written_by", sa.String(255), nullable=False, comment="who, as far as the API knew"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_notes_event_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_notes")),
    )
    op.create_index(op.f("ix_event_notes_event_id_id"), "event_notes", ["event_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "COMMENT ON COLUMN host_state.tracks IS "
            "'pending, open and lately resolved events (worker.events); NULL for none'"
        )
