from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import keys


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_an_acknowledgement_survives_the_round_trip(incarnation: int, sequence: int) -> None:
    assert keys.parse_ack(keys.format_ack(incarnation, sequence)) == (incarnation, sequence)


@pytest.mark.parametrize("value", [b"", b"7", b"7:", b":7", b"a:b", b"1:2:3", b"\xff:1", b"9" * 5000 + b":1"])
def test_what_is_no_acknowledgement_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() words it
        keys.parse_ack(value)


def test_the_shard_of_a_host_never_changes() -> None:
    # CRC-32 of "1", "7" and "123456", modulo 64: a change here moves hosts away from their waiting entries.
    assert [keys.shard_of(host) for host in (1, 7, 123456)] == [55, 2, 33]


def test_hosts_spread_over_all_shards() -> None:
    hosts = Counter(keys.shard_of(host) for host in range(1, 6401))
    assert len(hosts) == keys.SHARDS
    assert max(hosts.values()) < 2 * 100


def test_the_redis_password_depends_on_the_key_and_does_not_show_it() -> None:
    one, other = keys.redis_password(b"a" * 32), keys.redis_password(b"b" * 32)
    assert one != other
    assert (b"a" * 32).hex() not in one
