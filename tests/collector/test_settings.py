from pathlib import Path

import pytest

from collector.settings import CollectorSettings
from wire.environment import SettingError
from wire.hostkey import format_host_key

KEY = bytes(range(32))
HOST_KEY = {"FLEETMEDIC_HOST_KEY": format_host_key(7, KEY)}


def test_a_host_key_is_all_that_is_needed() -> None:
    settings = CollectorSettings.from_environment(HOST_KEY)
    assert (settings.host_id, settings.key) == (7, KEY)
    assert settings.interval_seconds == settings.first_interval_seconds == 30
    assert settings.spool_bytes == 64 * 2**20
    assert settings.services == ()
    assert settings.host_root == ""


def test_every_variable_is_read() -> None:
    settings = CollectorSettings.from_environment(
        HOST_KEY
        | {
            "FLEETMEDIC_REDIS_URL": "redis://db:6380/1",
            "FLEETMEDIC_INTERVAL": "5",
            "FLEETMEDIC_FIRST_INTERVAL": "1",
            "FLEETMEDIC_DATA_DIR": "/srv/fleetmedic",
            "FLEETMEDIC_SPOOL_BYTES": "2097152",
            "FLEETMEDIC_SERVICES": "nginx.service, cron.service ,,nginx.service",
            "FLEETMEDIC_HOST_ROOT": "/usr/",
        }
    )
    assert settings.redis_url == "redis://db:6380/1"
    assert (settings.interval_seconds, settings.first_interval_seconds) == (5, 1)
    assert (settings.data_dir, settings.spool_bytes) == (Path("/srv/fleetmedic"), 2 * 2**20)
    assert settings.services == ("nginx.service", "cron.service")
    assert settings.host_root == "/usr"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "FLEETMEDIC_HOST_KEY is not set: run `fleetmedic enroll NAME` on the server"),
        ({"FLEETMEDIC_HOST_KEY": "7.short"}, "FLEETMEDIC_HOST_KEY cannot be used: .*cut short|bytes instead of"),
        (HOST_KEY | {"FLEETMEDIC_INTERVAL": "0.1"}, "FLEETMEDIC_INTERVAL is '0.1': a number from 1 to 3600"),
        (HOST_KEY | {"FLEETMEDIC_SPOOL_BYTES": "10"}, "FLEETMEDIC_SPOOL_BYTES is '10'"),
        (HOST_KEY | {"FLEETMEDIC_HOST_ROOT": "/no/host"}, "FLEETMEDIC_HOST_ROOT is '/no/host': the folder"),
        (HOST_KEY | {"FLEETMEDIC_SERVICES": "nginx,--now"}, "FLEETMEDIC_SERVICES names '--now'"),
        (HOST_KEY | {"FLEETMEDIC_SERVICES": "\x1b[2J"}, r"names '\\x1b\[2J'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        CollectorSettings.from_environment(environment)
