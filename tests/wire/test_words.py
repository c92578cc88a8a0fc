from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.words import clock

_seconds = st.integers(0, 253_402_300_799)


@given(_seconds, st.integers(-200_000, 200_000))
def test_a_clock_shows_the_date_where_that_is_not_the_day_of_the_reference(moment: int, away: int) -> None:
    reference = min(max(moment + away, 0), 253_402_300_799)
    at, other = (datetime.fromtimestamp(one, UTC) for one in (moment, reference))
    assert clock(moment, reference) == at.strftime("%H:%M" if at.date() == other.date() else "%Y-%m-%d %H:%M")


@pytest.mark.parametrize("moment", [-1.0, float("nan"), float("inf"), 253_402_300_800.0])
def test_a_time_that_cannot_be_written_is_unknown(moment: float) -> None:
    assert clock(moment, 0.0) == clock(0.0, moment) == "an unknown time"
