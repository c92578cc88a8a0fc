"""Hosts, and where each of them stands."""

from sqlalchemy import REAL, BigInteger, Boolean, Column, Double, ForeignKey, LargeBinary, String, Table, text

from store.schema.columns import Document, Id, metadata

hosts = Table(
    "hosts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("enrolled_at", Double, nullable=False),
    Column("revoked_at", Double, comment="from then on its entries are refused"),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("monitoring_changed_at", Double, nullable=False, comment="last start or stop, or the enrollment"),
    Column("interval_seconds", Double, comment="asked of the collector; NULL leaves its own"),
    Column("services", Document, nullable=False, comment="names of the watched services"),
    Column("minimum_incarnation", BigInteger, nullable=False, server_default=text("0")),
)

tags = Table(
    "tags",
    metadata,
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(64), primary_key=True, index=True),
)

host_state = Table(
    "host_state",
    metadata,
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    Column("incarnation", BigInteger, nullable=False, server_default=text("0")),
    Column("sequence", BigInteger, nullable=False, server_default=text("0"), comment="the last one committed"),
    Column("body_crc", BigInteger, nullable=False, server_default=text("0"), comment="CRC-32 of that one's body"),
    Column("received_at", Double, comment="the worker's clock at the last snapshot; NULL before the first"),
    Column("taken_at", Double, comment="of the last snapshot, corrected"),
    Column("interval_seconds", REAL, nullable=False, server_default=text("30")),
    Column("cpu_percent", REAL, comment="of the last snapshot, for cpu_spike"),
    Column("tracks", LargeBinary, comment="pending, open and lately resolved events (worker.events); NULL for none"),
    Column("impossible_values", BigInteger, nullable=False, server_default=text("0")),
    # Here, so that a drain reads one table.
    Column("key", LargeBinary, comment="HMAC key of the host's entries; NULL once it is revoked"),
    # Room in each page lets every update stay in it (HOT): no index is touched.
    postgresql_with={"fillfactor": 80},
)

host_ledger = Table(
    "host_ledger",
    metadata,
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    *(
        Column(name, BigInteger, nullable=False, server_default=text("0"), comment=comment)
        for name, comment in (
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
    ),
    Column(
        "ahead_at",
        Double,
        nullable=False,
        server_default=text("0"),
        comment="the worker's clock when that number was seen",
    ),
    Column("spent_until", Double, nullable=False, server_default=text("0"), comment="see worker.throttle"),
    postgresql_with={"fillfactor": 80},
)

host_details = Table(
    "host_details",
    metadata,
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    Column("taken_at", Double, nullable=False),
    Column("details", LargeBinary, nullable=False, comment="wire.snapshot.Details as it came"),
    Column("earlier_taken_at", Double, comment="of an earlier copy, to tell what changed since"),
    Column("earlier_details", LargeBinary),
    postgresql_with={"fillfactor": 50},
)
