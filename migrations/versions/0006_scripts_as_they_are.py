"""On Postgres scripts are stored as they are: to compress one cost more than to render it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE scripts ALTER COLUMN content SET STORAGE EXTERNAL")
