"""What became of the sequence numbers of each host, and how much it pushed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

COUNTS = (
    ("earlier_sequences", "numbers up to the last one committed of each incarnation that is over"),
    ("dead_lettered", "numbers whose snapshot could not be read"),
    ("dropped", "numbers that the host declared dropped"),
    ("lost", "numbers beyond the last one committed that were seen of incarnations that are over"),
    ("unevaluated", "snapshots stored although their details, which a rule asked for, could not be read"),
    ("resent", "entries that came again"),
    ("discarded", "entries that came before their turn"),
    ("throttled", "entries passed over unread since the host had spent its credit"),
    ("ahead_incarnation", None),
    ("ahead_sequence", "the highest number seen; of no meaning where it is committed"),
)


def upgrade() -> None:
    op.create_table(
        "host_ledger",
        sa.Column("host_id", Id, nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment=comment)
            for name, comment in COUNTS
        ),
        sa.Column(
            "ahead_at",
            sa.Double(),
            server_default=sa.text("0"),
            nullable=False,
            comment="the worker's clock when that number was seen",
        ),
        sa.Column(
            "spent_until", sa.Double(), server_default=sa.text("0"), nullable=False, comment="see worker.throttle"
        ),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_host_ledger_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_ledger")),
        postgresql_with={"fillfactor": 80},
    )
    op.execute(
        "INSERT INTO host_ledger (host_id, discarded, dropped) SELECT * FROM (SELECT host_id, discarded_entries, "
        "coalesce((SELECT sum(last_sequence - first_sequence + 1) FROM gaps g WHERE g.host_id = s.host_id "
        "AND g.incarnation = s.incarnation), 0) AS dropped FROM host_state s) AS known "
        "WHERE discarded_entries > 0 OR dropped > 0"
    )
    op.drop_column("host_state", "discarded_entries")
    op.add_column(
        "gaps",
        sa.Column(
            "declared",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="by the host; otherwise its incarnation ended, and more than is known here may be missing",
        ),
    )
