"""Script jobs run and are cancelled; the same request is one job for as long as that is not done."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_UNFINISHED = sa.text("state IN ('queued', 'running')")
_STATE = "state IN ('queued', 'running', 'ready', 'failed', 'cancelled')"


def upgrade() -> None:
    op.drop_index("ix_scripts_rung_at", "scripts")
    op.add_column(
        "scripts",
        sa.Column("request_key", sa.String(64), comment="the same for the same request; NULL where nobody asked"),
    )
    # SQLite cannot change a constraint: there the table is made anew.
    with op.batch_alter_table("scripts") as scripts:
        scripts.drop_constraint(op.f("ck_scripts_state"), type_="check")
        scripts.create_check_constraint(op.f("ck_scripts_state"), sa.text(_STATE))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("COMMENT ON COLUMN scripts.attempts IS 'how often a worker began'")
    for name, column, unique in (
        ("ix_scripts_rung_at", "rung_at", False),
        ("uq_scripts_request_key", "request_key", True),
    ):
        op.create_index(
            name, "scripts", [column], unique=unique, postgresql_where=_UNFINISHED, sqlite_where=_UNFINISHED
        )
