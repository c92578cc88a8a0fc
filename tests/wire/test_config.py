import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.config import HostConfig, decode_config, encode_config

CONFIGS = st.builds(
    HostConfig,
    paused=st.booleans(),
    interval_seconds=st.none() | st.floats(1, 3600),
    services=st.lists(st.from_regex(r"[a-z][a-z0-9@.-]{0,20}", fullmatch=True), max_size=4).map(tuple),
    minimum_incarnation=st.integers(0, 2**53),
)


@given(CONFIGS)
def test_any_config_survives_the_round_trip(config: HostConfig) -> None:
    assert decode_config(encode_config(config)) == config


@pytest.mark.parametrize(
    "value",
    [
        {"interval_seconds": 0.5},
        {"interval_seconds": 3601},
        {"paused": "yes"},
        {"services": ["--now"]},
        {"services": ["a b"]},
        {"services": ["nginx;reboot"]},
        {"services": ["ü"]},
        {"services": ["a"] * 257},
    ],
)
def test_a_config_out_of_bounds_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec words it
        decode_config(json.dumps(value).encode())


def test_a_config_from_a_newer_server_is_read() -> None:
    assert decode_config(b'{"paused": true, "colour": "green"}') == HostConfig(paused=True)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(value: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_config(value)
