import pytest

from collector.pace import Pace


def due_times(pace: Pace, busy: list[float]) -> list[float]:
    """The times at which snapshots are taken when taking them lasts as long as ``busy`` says."""
    at, times = 100.0, []
    for seconds in busy:
        at += pace.wait(at)
        times.append(at)
        at += seconds
        pace.advance(at)
    return times


@pytest.mark.parametrize(
    ("first", "busy", "expected"),
    [
        pytest.param(5, [0, 0, 0, 0], [100, 105, 110, 115], id="every interval"),
        pytest.param(1, [0, 0, 0, 0], [100, 101, 106, 111], id="the second snapshot comes early"),
        pytest.param(60, [0, 0, 0], [100, 105, 110], id="but never late"),
        pytest.param(5, [2, 2, 2, 2], [100, 105, 110, 115], id="work does not make it drift"),
        pytest.param(5, [0, 17, 0, 0], [100, 105, 125, 130], id="missed times are left out, no burst"),
        pytest.param(5, [0, 3600, 0], [100, 105, 3710], id="after a suspend"),
        pytest.param(1, [3, 0, 0], [100, 106, 111], id="a first snapshot that took long"),
    ],
)
def test_pace(first: float, busy: list[float], expected: list[float]) -> None:
    assert due_times(Pace(100.0, first, 5.0), busy) == expected
