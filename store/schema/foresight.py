"""What the duties forecast and deviate remember."""

from sqlalchemy import Column, Double, ForeignKey, Integer, LargeBinary, SmallInteger, Table

from store.schema.columns import metadata

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
