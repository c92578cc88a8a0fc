import math

import numpy as np
import pytest

from worker.clocks import corrected

NOW = 1_000_000_000.0


@pytest.mark.parametrize(
    ("taken_at", "sent_at", "caught_up_at", "expected", "why"),
    [
        (NOW - 1, NOW - 1, NOW - 30, NOW - 1, "a right clock is left alone"),
        (NOW + 1, NOW + 1, NOW - 30, NOW + 1, "so is one that is right within the tolerance"),
        (NOW + 3599, NOW + 3600, NOW - 30, NOW - 1, "an hour ahead: taken a second before it was sent"),
        (NOW - 3601, NOW - 3600, NOW - 30, NOW - 1, "an hour behind, the inbox being fresh"),
        (NOW - 3601, NOW - 3600, NOW - 7200, NOW - 3601, "waited an hour while no worker drained"),
        (NOW - 600, NOW - 1, NOW - 30, NOW - 600, "resent from the spool ten minutes later"),
        (
            NOW + 600,
            NOW,
            NOW - 30,
            NOW,
            "taken in the future though sent in time: its clock was set back between the two",
        ),
        (math.nan, NOW, NOW - 30, NOW, "no time at all"),
        (NOW, math.nan, NOW - 30, NOW, "no time of sending"),
        (NOW, math.inf, NOW - 30, NOW, "an infinite one"),
        (-5.0, NOW, NOW - 30, NOW, "before every spool"),
        (1e300, NOW, NOW - 30, NOW, "after every clock"),
    ],
)
def test_a_snapshots_time_is_corrected_by_when_it_was_sent(
    taken_at: float, sent_at: float, caught_up_at: float, expected: float, why: str
) -> None:
    columns = (np.array([seconds]) for seconds in (taken_at, sent_at, caught_up_at))
    assert corrected(*columns, NOW).tolist() == [expected], why
