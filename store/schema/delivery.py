"""What became of what hosts sent, and who does what periodically."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from store.schema.columns import Id, metadata

shards = Table(
    "shards",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False, server_default=text("0"), comment="one up with every drain"),
    Column("caught_up_at", Double, nullable=False, server_default=text("0"), comment="inbox last seen empty"),
    postgresql_with={"fillfactor": 50},
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Id, primary_key=True),
    Column("received_at", Double, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("host_id", BigInteger, comment="as the entry claims; NULL where it could not be read"),
    Column("incarnation", BigInteger),
    Column("sequence", BigInteger),
    Column("reason", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False, comment="its first 4 KiB"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    Column("incarnation", BigInteger, primary_key=True),
    Column("first_sequence", BigInteger, primary_key=True, comment="first of the run that the host dropped"),
    Column("last_sequence", BigInteger, nullable=False),
    Column("reason", String(255), nullable=False),
    Column("first_taken_at", Double),
    Column("last_taken_at", Double),
    Column("received_at", Double, nullable=False),
    Column(
        "declared",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="by the host; otherwise its incarnation ended, and more than is known here may be missing",
    ),
)

duties = Table(
    "duties",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("run_at", Double, nullable=False, comment="the lease: who moves it forward does the work"),
    Column("since", Double, nullable=False, comment="start of the present unbroken run of this duty"),
)
