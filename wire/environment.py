"""Reading settings from the environment, with errors that name the variable and what it takes."""

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from wire.redis_url import authorities

SECRETS = ("FLEETMEDIC_ADMIN_TOKEN", "FLEETMEDIC_DATABASE_URL", "FLEETMEDIC_HOST_KEY", "FLEETMEDIC_REDIS_URL")
"""The settings that are secrets or hold one: each may be given as ``NAME_FILE``, the path of a file that it is in."""


class SettingError(ValueError):
    """A setting that cannot be used; the message names it and says what is needed."""


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with every ``NAME_FILE`` of a secret replaced by NAME and what the file holds.

    Raises SettingError for a file that cannot be read or is empty, and where both are given.
    """
    known = dict(environment)
    for name in SECRETS:
        path = known.pop(f"{name}_FILE", "")
        if not path:
            continue
        if known.get(name):
            raise SettingError(f"{name} and {name}_FILE are both set: leave one of them out")
        try:
            known[name] = Path(path).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingError(f"{name}_FILE: {path!r} cannot be read: {cause}") from None
        if not known[name]:
            raise SettingError(f"{name}_FILE: {path!r} is empty")
    return known


def text(environment: Mapping[str, str], name: str, default: str) -> str:
    """Return the variable, or the default where it is unset or empty."""
    return environment.get(name) or default


def number(
    environment: Mapping[str, str], name: str, default: float, minimum: float, maximum: float = math.inf
) -> float:
    """Return the variable as a number within the bounds. Raises SettingError."""
    given = environment.get(name)
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not minimum <= value <= maximum:
        bounds = f"of at least {minimum:g}" if maximum == math.inf else f"from {minimum:g} to {maximum:g}"
        raise SettingError(f"{name} is {given!r}: a number {bounds} is needed")
    return value


def redis_url(environment: Mapping[str, str]) -> str:
    """Return FLEETMEDIC_REDIS_URL, or that of a Redis on this machine. Raises SettingError."""
    url = text(environment, "FLEETMEDIC_REDIS_URL", "redis://127.0.0.1:6379/0")
    try:
        file = authorities(url)
    except ValueError as error:
        raise SettingError(f"FLEETMEDIC_REDIS_URL cannot be used: {error}") from None
    if file is not None:
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise SettingError(
                f"FLEETMEDIC_REDIS_URL: ssl_ca_certs names {file!r}, which cannot be read: {error.strerror}"
            ) from None
    return url


def data_dir(environment: Mapping[str, str]) -> Path:
    """Return FLEETMEDIC_DATA_DIR, or the folder ``fleetmedic`` where this platform keeps a user's data."""
    given = environment.get("FLEETMEDIC_DATA_DIR")
    if given:
        return Path(given).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "fleetmedic"
    if os.name == "nt":
        return Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "fleetmedic"
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "fleetmedic"
