"""The tables. Times are Unix seconds in double precision, as the wire has them; sizes are bytes.

One table a noun, Core and not ORM: a drain writes thousands of rows at once, and a read wants columns.
``migrations/`` builds them; a test holds the two together.
"""

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql

from wire.metrics import NAMES

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# SQLite numbers rows by itself only where the type is INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
Document = JSON().with_variant(postgresql.JSONB, "postgresql")
OptionalDocument = JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

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

filesystem_history = Table(
    "filesystem_history",
    metadata,
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    Column("mounts", LargeBinary, nullable=False, comment="their names, a MessagePack array"),
    Column("points", LargeBinary, nullable=False, comment="store.filesystems.point_type, from the oldest on"),
    Column("next_at", Double, nullable=False, comment="when to read the host's details again"),
    Column("tracks", LargeBinary, comment="pending and open disk_forecast (worker.events); NULL for none"),
    # Room in each page lets every update stay in it (HOT).
    postgresql_with={"fillfactor": 50},
)

filesystem_lanes = Table(
    "filesystem_lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("read_at", Double, nullable=False, comment="when its hosts were last looked through"),
)

deviation_lanes = Table(
    "deviation_lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("until", Double, nullable=False, comment="the 5-minute buckets before were looked at"),
    Column("memory", LargeBinary, nullable=False, comment="worker.detection.deviation.detector.pack, by place in lane"),
    Column("tracks", LargeBinary, comment="pending and open deviations (worker.events), by host; NULL for none"),
)

deviation_seasons = Table(
    "deviation_seasons",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column(
        "slot",
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="quarter of an hour of the day, UTC; from 96 on of weekends",
    ),
    Column("season", LargeBinary, nullable=False, comment="float32 a metric, by place in lane"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("host_id", BigInteger, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("taken_at", Double, nullable=False),
    Column("interval_seconds", REAL, nullable=False),
    *(Column(name, REAL) for name in NAMES),
    Index("ix_snapshots_host_id_taken_at", "host_id", "taken_at"),
    # By receive time: a host with a wrong clock can then not miss every partition.
    postgresql_partition_by="RANGE (received_at)",
)


def _rollups(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("host_id", BigInteger, primary_key=True, autoincrement=False),
        Column("start_at", Double, primary_key=True, comment="of the bucket"),
        Column("snapshots", Integer, nullable=False, comment="how many are behind the values"),
        Column("counts", LargeBinary, comment="int32 a metric, where one is not in every snapshot"),
        Column(
            "aggregates",
            LargeBinary,
            nullable=False,
            comment="float32 a metric, NaN for missing: averages, minima, maxima",
        ),
        postgresql_partition_by="RANGE (start_at)",
        # A chart reads one host's rows: SQLite then has them side by side.
        sqlite_with_rowid=False,
    )


rollups_5m = _rollups("rollups_5m")
rollups_1h = _rollups("rollups_1h")

rollup_backlog = Table(
    "rollup_backlog",
    metadata,
    Column("id", Id, primary_key=True),
    Column("lane", Integer, nullable=False),
    Column("start_at", Double, nullable=False, comment="of the 5-minute bucket"),
    Column("metrics", SmallInteger, nullable=False, comment="how many there are in each row"),
    Column("batch", LargeBinary, nullable=False, comment="of one bucket: host id, then float32 a metric"),
    Index("ix_rollup_backlog_lane_start_at", "lane", "start_at"),
    # A batch fills a page; moved out of line it would cost ten times as much.
    postgresql_with={"toast_tuple_target": 8160},
)

rollup_lanes = Table(
    "rollup_lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("hours_until", Double, nullable=False, comment="the hours before are rolled up"),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(64), nullable=False),
    Column("subject", String(1024), nullable=False, comment="empty where the host itself is the subject"),
    Column("severity", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("limit_value", Double),
    Column("first_value", Double),
    Column("value", Double, comment="the last one seen"),
    Column("peak_value", Double),
    Column("peak_at", Double),
    Column("started_at", Double, nullable=False, comment="when it was first seen, before it opened"),
    Column("opened_at", Double, nullable=False),
    Column("last_at", Double, nullable=False, comment="when it was last seen"),
    Column("resolved_at", Double),
    Column("cleared_at", Double, comment="hidden from the default view since"),
    Column("evidence", Document, nullable=False),
    Column("acknowledged_at", Double),
    Column("acknowledged_by", String(255), comment="who, as far as the API knew"),
    Column("resolved_by", String(255), comment="who resolved it by hand; NULL where it resolved by itself"),
    Column("flapping", Boolean, nullable=False, server_default=text("false"), comment="it opened again and again"),
    Column("openings", Integer, nullable=False, server_default=text("1")),
    Column("reopened_at", Double, comment="when it last opened; NULL where that was the first time"),
    Column("incident_id", BigInteger, comment="NULL until the duty triage has seen it"),
    Column("muted", Boolean, nullable=False, server_default=text("false"), comment="now, or until it resolved"),
    Column("muted_by", String(16), comment="what mutes it, or did so last"),
    Column("muted_by_id", BigInteger, comment="the event host_down, or the maintenance window"),
    Column("explanation", Text, comment="in plain words; NULL until the duty comes to it"),
    CheckConstraint("state IN ('open', 'resolved')", name="state"),
    CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity"),
    Index(
        "uq_events_open",
        "host_id",
        "type",
        "subject",
        unique=True,
        postgresql_where=text("state = 'open'"),
        sqlite_where=text("state = 'open'"),
    ),
    Index("ix_events_opened_at", "opened_at"),
    Index("ix_events_host_id_opened_at", "host_id", "opened_at"),
    Index("ix_events_incident_id_opened_at", "incident_id", "opened_at"),
    Index(
        "ix_events_host_down",
        "host_id",
        postgresql_where=text("state = 'open' AND type = 'host_down'"),
        sqlite_where=text("state = 'open' AND type = 'host_down'"),
    ),
    Index(
        "ix_events_counting",
        "host_id",
        "type",
        postgresql_where=text("state = 'open' AND NOT muted"),
        sqlite_where=text("state = 'open' AND NOT muted"),
    ),
    Index(
        "ix_events_muted",
        "muted_by_id",
        postgresql_where=text("state = 'open' AND muted"),
        sqlite_where=text("state = 'open' AND muted"),
    ),
    Index(
        "ix_events_muted_by",
        "muted_by",
        "muted_by_id",
        postgresql_where=text("muted_by IS NOT NULL"),
        sqlite_where=text("muted_by IS NOT NULL"),
    ),
    Index(
        "ix_events_unexplained",
        "opened_at",
        postgresql_where=text("explanation IS NULL"),
        sqlite_where=text("explanation IS NULL"),
    ),
    postgresql_with={"fillfactor": 80},
)

event_notes = Table(
    "event_notes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("written_at", Double, nullable=False),
    Column("written_by", String(255), nullable=False, comment="who, as far as the API knew"),
    Column("note", Text, nullable=False),
    Index("ix_event_notes_event_id_id", "event_id", "id"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), comment="NULL where it is of many hosts"),
    Column("type", String(64), comment="that its events share; NULL where it is of one host"),
    Column("tags", Document, nullable=False, comment="that its hosts share, the narrowest first; empty for one host"),
    Column("opened_at", Double, nullable=False, comment="of its first event"),
    Column("last_opened_at", Double, nullable=False, comment="of its last event"),
    Column("merged_into", BigInteger, comment="the incident that took its events; it has none then"),
    Index("ix_incidents_opened_at", "opened_at"),
    Index("ix_incidents_last_opened_at", "last_opened_at"),
    Index("ix_incidents_host_id_opened_at", "host_id", "opened_at"),
)

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), index=True),
    Column("tag", String(64), comment="with host_id NULL too: of the whole fleet"),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double, comment="NULL for never"),
    Column("reason", String(1024), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("ended_by", String(64), comment="who made it end early, at ends_at"),
    CheckConstraint("host_id IS NULL OR tag IS NULL", name="scope"),
    Index("ix_maintenance_windows_ends_at", "ends_at"),
)

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

remedies = Table(
    "remedies",
    metadata,
    Column("issue_type", String(64), primary_key=True),
    Column("document", Document, nullable=False, comment="store.remedies.Remedy, as the workers published it"),
    Column("published_at", Double, nullable=False),
)

scripts = Table(
    "scripts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("issue_type", String(64), nullable=False, comment="the remedy"),
    Column("script_type", String(16), nullable=False),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), comment="NULL for no host in particular"),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), comment="the event that it answers"),
    Column("automatic", Boolean, nullable=False, comment="asked for by the drain that opened its event"),
    Column("given", Document, nullable=False, comment="parameters that were asked for, by name"),
    Column("state", String(16), nullable=False),
    Column("requested_at", Double, nullable=False),
    Column("rung_at", Double, nullable=False, comment="when a worker was last told of it"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("ready_at", Double),
    Column("error", Text, comment="why it failed, for a person"),
    Column("parameters", Document, comment="as rendered: complete, with defaults and evidence"),
    Column("remedy_version", String(32)),
    Column("filename", String(255)),
    Column("description", Text),
    Column("run_command", Text),
    Column("requires_admin", Boolean),
    Column("content", Text),
    Column("sha256", String(64)),
    CheckConstraint("state IN ('queued', 'ready', 'failed')", name="state"),
    CheckConstraint("script_type IN ('bash', 'powershell')", name="script_type"),
    Index(
        "uq_scripts_event_id",
        "event_id",
        unique=True,
        postgresql_where=text("automatic"),
        sqlite_where=text("automatic"),
    ),
    Index(
        "ix_scripts_rung_at",
        "rung_at",
        postgresql_where=text("state = 'queued'"),
        sqlite_where=text("state = 'queued'"),
    ),
    Index("ix_scripts_event_id_id", "event_id", "id"),
    Index("ix_scripts_host_id_id", "host_id", "id"),
)

policies = Table(
    "policies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("tag", String(64), nullable=False, comment="empty unless the scope is one"),
    Column("host_id", ForeignKey("hosts.id", ondelete="CASCADE"), comment="NULL unless the scope is a host"),
    Column("type", String(64), nullable=False, comment="of the events"),
    Column("subject", String(1024), nullable=False, comment="a name or a pattern; empty for every subject"),
    Column("version", Integer, nullable=False),
    Column("settings", OptionalDocument, comment="store.policy_types.Settings; NULL once removed"),
    Column("in_force", Boolean, nullable=False, comment="false once removed"),
    Column("changed_at", Double, nullable=False),
    Column("changed_by", String(255), nullable=False),
    CheckConstraint("scope IN ('fleet', 'tag', 'host')", name="scope"),
    Index(
        "uq_policies_shared",
        "scope",
        "tag",
        "type",
        "subject",
        unique=True,
        postgresql_where=text("host_id IS NULL"),
        sqlite_where=text("host_id IS NULL"),
    ),
    Index(
        "uq_policies_host",
        "host_id",
        "type",
        "subject",
        unique=True,
        postgresql_where=text("host_id IS NOT NULL"),
        sqlite_where=text("host_id IS NOT NULL"),
    ),
)

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("policy_id", ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("settings", OptionalDocument, comment="NULL where this version removed it"),
    Column("changed_at", Double, nullable=False),
    Column("changed_by", String(255), nullable=False),
)

sign_in_codes = Table(
    "sign_in_codes",
    metadata,
    Column("code_sha256", LargeBinary, primary_key=True),
    Column("expires_at", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True, comment="of the browser's cookie"),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
