import pytest

from cli.tables import ago, percent, table


def test_columns_are_aligned_and_hostile_text_is_shown_not_obeyed() -> None:
    shown = table(["NAME", "N"], [["web", "1"], ["\x1b[2Jx\n", "10"]], right=frozenset((1,)))
    assert shown.splitlines() == [
        "NAME         N",
        "web          1",
        r"\x1b[2Jx\n  10",
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (864000, "10 d ago"), (-5, "0 s ago")],
)
def test_a_time_is_shown_by_its_distance(seconds: float, shown: str) -> None:
    assert ago("1970-01-12T13:46:40Z", 1_000_000 + seconds) == shown


def test_what_is_not_known_is_a_dash() -> None:
    assert (percent(None), percent(12.34), ago(None, 0)) == ("-", "12.3 %", "never")
