"""The settings of the server's processes, built once from the environment and passed down."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wire import environment as env
from wire import redis_url


@dataclass(frozen=True)
class Retention:
    """How long history is kept, in seconds."""

    raw_seconds: float
    """Snapshots."""
    five_minutes_seconds: float
    hour_seconds: float


@dataclass(frozen=True)
class ServerSettings:
    """What worker, API and the server's commands are told. Every field is one FLEETMEDIC_* variable."""

    data_dir: Path
    redis_url: str
    database_url: str
    admin_token: str
    """The bearer token of programs; empty leaves only the public routes."""
    batch_entries: int
    """N of the design: the entries that a doorbell packs, and the most that one drain reads of a shard."""
    inbox_cap_entries: int
    """Above this a shard's collectors are asked to keep their snapshots."""
    script_seconds: float
    """How long a worker may take for one attempt at a script."""
    retention: Retention

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ServerSettings":
        """Read the settings. Raises SettingError."""
        data_dir = env.data_dir(environment)
        return cls(
            data_dir=data_dir,
            redis_url=_redis_url(environment),
            database_url=env.text(environment, "FLEETMEDIC_DATABASE_URL", f"sqlite:///{data_dir / 'fleetmedic.db'}"),
            admin_token=env.text(environment, "FLEETMEDIC_ADMIN_TOKEN", ""),
            batch_entries=int(env.number(environment, "FLEETMEDIC_BATCH_ENTRIES", 8000, 1, 100_000)),
            inbox_cap_entries=int(env.number(environment, "FLEETMEDIC_INBOX_CAP_ENTRIES", 100_000, 1)),
            script_seconds=env.number(environment, "FLEETMEDIC_SCRIPT_SECONDS", 10, 1, 60),
            retention=Retention(
                3600 * env.number(environment, "FLEETMEDIC_RETENTION_RAW_HOURS", 48, 1),
                86400 * env.number(environment, "FLEETMEDIC_RETENTION_FIVE_MINUTES_DAYS", 30, 1),
                86400 * env.number(environment, "FLEETMEDIC_RETENTION_HOUR_DAYS", 400, 1),
            ),
        )


def _redis_url(environment: Mapping[str, str]) -> str:
    url = env.redis_url(environment)
    try:
        redis_url.split(url)
    except ValueError as error:
        raise env.SettingError(f"FLEETMEDIC_REDIS_URL cannot be used: {error}") from None
    return url
