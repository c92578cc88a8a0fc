import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.hostkey import format_host_key, parse_host_key

SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_any_key_survives_the_round_trip(host_id: int, key: bytes) -> None:
    assert parse_host_key(format_host_key(host_id, key)) == (host_id, key)


def test_a_key_needs_no_quotes_in_a_shell() -> None:
    assert set(format_host_key(7, b"\xfb\xff" * 16)) <= set("0123456789.-_") | set(map(chr, range(65, 123)))


def test_blanks_around_a_pasted_key_do_no_harm() -> None:
    assert parse_host_key(f" 7.{SECRET}\n") == (7, bytes(range(32)))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "ID.SECRET"),
        (SECRET, "ID.SECRET"),
        (f"web1.{SECRET}", "ID.SECRET"),
        (f"0.{SECRET}", "ID.SECRET"),
        (f"-7.{SECRET}", "ID.SECRET"),
        (f"٧.{SECRET}", "ID.SECRET"),
        (f"7.{SECRET[:-2]}", "cut short|bytes instead of"),
        (f"7.{SECRET}AAAA", "bytes instead of"),
        ("7.ü!", "not base64url"),
        ("7.", "0 bytes instead of"),
    ],
)
def test_a_key_that_cannot_be_used_says_why(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_host_key(text)
    assert SECRET[:20] not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_host_key(text)
