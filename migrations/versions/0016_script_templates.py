"""The text that scripts share is stored once. Each older script keeps its text, as a template without a marker."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_COMMENTS = {
    "template_sha256": "NULL until it is ready",
    "assignments": "what takes the place of the marker; NULL for a template without one",
}


def upgrade() -> None:
    op.create_table(
        "script_templates",
        sa.Column("sha256", sa.String(64), nullable=False, comment="of its text"),
        sa.Column("content", sa.Text(), nullable=False, comment="with one line as marker, where the values belong"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_script_templates")),
    )
    # As SQL that both databases have: Alembic would make SQLite's table anew for a column with a foreign key.
    op.execute(
        "ALTER TABLE scripts ADD COLUMN template_sha256 VARCHAR(64)"
        " CONSTRAINT fk_scripts_template_sha256 REFERENCES script_templates (sha256)"
    )
    op.execute("ALTER TABLE scripts ADD COLUMN assignments TEXT")
    if op.get_bind().dialect.name == "postgresql":
        for column, comment in _COMMENTS.items():
            op.execute(f"COMMENT ON COLUMN scripts.{column} IS '{comment}'")
    op.execute(
        "INSERT INTO script_templates (sha256, content)"
        " SELECT sha256, min(content) FROM scripts WHERE content IS NOT NULL GROUP BY sha256"
    )
    # Emptied as well: Postgres would keep the text of a column that is dropped for as long as the row is as it was.
    op.execute("UPDATE scripts SET template_sha256 = sha256, content = NULL WHERE content IS NOT NULL")
    op.drop_column("scripts", "content")
