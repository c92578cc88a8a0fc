"""Who asked for each script; scripts are found by the SHA-256 of their file."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_MADE = sa.text("sha256 IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "scripts",
        sa.Column(
            "requested_by", sa.String(length=255), nullable=True, comment="NULL where it was asked for before 0013"
        ),
    )
    op.execute("UPDATE scripts SET requested_by = 'the worker' WHERE automatic")
    op.create_index("ix_scripts_sha256_id", "scripts", ["sha256", "id"], postgresql_where=_MADE, sqlite_where=_MADE)
