"""The settings of the collector, built once from the environment and passed down."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wire import environment as env
from wire.config import MAXIMUM_INTERVAL_SECONDS, MINIMUM_INTERVAL_SECONDS, SERVICE_NAME_PATTERN
from wire.environment import SettingError
from wire.hostkey import parse_host_key
from wire.text import visible

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class CollectorSettings:
    """What the collector is told. Every field comes from one FLEETMEDIC_* variable."""

    redis_url: str
    host_id: int
    key: bytes
    """The host's signing key."""
    interval_seconds: float
    """The pace until the server's config asks for another."""
    first_interval_seconds: float
    """From the first snapshot to the second, so that the first rates do not take a whole interval."""
    data_dir: Path
    spool_bytes: int
    """The most that unacknowledged snapshots take on disk."""
    services: tuple[str, ...]
    """Watched besides those that the server's config names."""
    host_root: str
    """Where the host's root is mounted, for a collector in a container; empty where it is the collector's own."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "CollectorSettings":
        """Read the settings. Raises SettingError."""
        host_id, key = _host_key(environment)
        interval = env.number(
            environment, "FLEETMEDIC_INTERVAL", 30, MINIMUM_INTERVAL_SECONDS, MAXIMUM_INTERVAL_SECONDS
        )
        return cls(
            redis_url=env.redis_url(environment),
            host_id=host_id,
            key=key,
            interval_seconds=interval,
            first_interval_seconds=env.number(
                environment, "FLEETMEDIC_FIRST_INTERVAL", interval, MINIMUM_INTERVAL_SECONDS, MAXIMUM_INTERVAL_SECONDS
            ),
            data_dir=env.data_dir(environment),
            spool_bytes=int(env.number(environment, "FLEETMEDIC_SPOOL_BYTES", 64 * _MEBIBYTE, _MEBIBYTE, 2**40)),
            services=_services(environment),
            host_root=_host_root(environment),
        )


def _host_key(environment: Mapping[str, str]) -> tuple[int, bytes]:
    given = environment.get("FLEETMEDIC_HOST_KEY")
    if not given:
        raise SettingError(
            "FLEETMEDIC_HOST_KEY is not set: run `fleetmedic enroll NAME` on the server, it prints the key of this host"
        )
    try:
        return parse_host_key(given)
    except ValueError as error:
        raise SettingError(f"FLEETMEDIC_HOST_KEY cannot be used: {error}") from None


def _services(environment: Mapping[str, str]) -> tuple[str, ...]:
    names = [name.strip() for name in environment.get("FLEETMEDIC_SERVICES", "").split(",") if name.strip()]
    for name in names:
        if not re.match(SERVICE_NAME_PATTERN, name):
            raise SettingError(f"FLEETMEDIC_SERVICES names '{visible(name)}': that is not the name of a service")
    return tuple(dict.fromkeys(names))


def _host_root(environment: Mapping[str, str]) -> str:
    given = environment.get("FLEETMEDIC_HOST_ROOT", "")
    if given and not Path(given).is_dir():
        raise SettingError(
            f"FLEETMEDIC_HOST_ROOT is {given!r}: the folder that the host's root is mounted at is needed"
        )
    return given.rstrip("/")
