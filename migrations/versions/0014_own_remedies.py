"""Remedies that users add, as the workers found them in their folders."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

OptionalDocument = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "own_remedies",
        sa.Column("origin", sa.String(64), nullable=False, comment="whose folder: SHA-256 of its machine and its path"),
        sa.Column("name", sa.Text(), nullable=False, comment="of the remedy's own folder in it"),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False, comment="the path of the remedy's own folder"),
        sa.Column("document", OptionalDocument, nullable=True, comment="store.remedies.Remedy; NULL where it is bad"),
        sa.Column("scripts", OptionalDocument, nullable=True, comment="their text by type; NULL where it is bad"),
        sa.Column("fault", sa.Text(), nullable=True, comment="what is wrong with it; NULL where it is good"),
        sa.Column("sha256", sa.String(64), nullable=False, comment="of all of it but where it lies"),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False, comment="when a worker last found it there"),
        sa.PrimaryKeyConstraint("origin", "name", name=op.f("pk_own_remedies")),
    )
