"""Events are explained in plain words; of each host's details an earlier copy is kept, to tell what changed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_UNEXPLAINED = sa.text("explanation IS NULL")


def upgrade() -> None:
    op.add_column(
        "host_details",
        sa.Column(
            "earlier_taken_at", sa.Double(), nullable=True, comment="of an earlier copy, to tell what changed since"
        ),
    )
    op.add_column("host_details", sa.Column("earlier_details", sa.LargeBinary(), nullable=True))
    op.add_column(
        "events",
        sa.Column("explanation", sa.Text(), nullable=True, comment="in plain words; NULL until the duty comes to it"),
    )
    op.execute("UPDATE events SET explanation = 'It opened before events were explained.'")
    op.create_index(
        "ix_events_unexplained",
        "events",
        ["opened_at"],
        postgresql_where=_UNEXPLAINED,
        sqlite_where=_UNEXPLAINED,
    )
