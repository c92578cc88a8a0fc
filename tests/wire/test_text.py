import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.text import storable, visible

hostile = st.text(st.characters(exclude_categories=()), max_size=300)


@given(hostile)
def test_storable_text_is_utf_8_without_nul(text: str) -> None:
    stored = storable(text, 100)
    assert b"\0" not in stored.encode()
    assert len(stored) <= 100


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=100))
def test_storable_leaves_ordinary_text_as_it_is(text: str) -> None:
    assert storable(text, 100) == text


@given(hostile)
def test_visible_text_has_nothing_that_steers_a_terminal(text: str) -> None:
    shown = visible(text)
    assert all(unicodedata.category(character)[0] != "C" for character in shown)
    assert "\n" not in shown
    assert "\u2028" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢", "plain ü 漢"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("line\nforged", "line\\nforged"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("x" * 5, "xxx…"),
    ],
)
def test_visible_escapes_what_is_not_shown(text: str, shown: str) -> None:
    assert visible(text, 3 if text == "x" * 5 else 200) == shown
