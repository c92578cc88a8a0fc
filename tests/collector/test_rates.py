import itertools
import math

import pytest

from collector.rates import Counters, Reading, highest, rates, shares_percent, total

NAN = math.nan


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(None, Reading(10, {"a": (5,)}), {}, id="the first reading has no rate"),
        pytest.param(Reading(10, {"a": (5, 0)}), Reading(12, {"a": (9, 1)}), {"a": (2, 0.5)}, id="per second"),
        pytest.param(Reading(10, {"a": (5,)}), Reading(12, {"a": (5,)}), {"a": (0,)}, id="an idle device has rate 0"),
        pytest.param(
            Reading(10, {"a": (5, 7)}), Reading(12, {"a": (1, 9)}), {"a": (NAN, 1)}, id="a reset is missing once"
        ),
        pytest.param(
            Reading(10, {"a": (2**32 - 1,)}), Reading(12, {"a": (9,)}), {"a": (NAN,)}, id="a 32-bit wrap is a reset"
        ),
        pytest.param(Reading(10, {"a": (5,)}), Reading(12, {}), {}, id="a device that vanishes"),
        pytest.param(
            Reading(10, {"a": (0,)}), Reading(12, {"a": (2,), "b": (9**9,)}), {"a": (1,)}, id="a device that appears"
        ),
        pytest.param(Reading(10, {"a": (5,)}), Reading(10, {"a": (9,)}), {}, id="no time passed"),
        pytest.param(Reading(10, {"a": (5,)}), Reading(9, {"a": (9,)}), {}, id="a clock that went back"),
        pytest.param(Reading(10, {"a": (NAN,)}), Reading(12, {"a": (NAN,)}), {"a": (NAN,)}, id="no such counter here"),
    ],
)
def test_rates(before: Reading | None, now: Reading, expected: dict[str, Counters]) -> None:
    assert repr(rates(before, now)) == repr({device: tuple(map(float, some)) for device, some in expected.items()})


def test_the_reading_after_a_reset_has_a_rate_again() -> None:
    readings = [Reading(10, {"a": (1000,)}), Reading(11, {"a": (3,)}), Reading(12, {"a": (7,)})]
    assert rates(readings[0], readings[1])["a"] != rates(readings[1], readings[2])["a"]
    assert rates(readings[1], readings[2]) == {"a": (4.0,)}


@pytest.mark.parametrize(
    ("devices", "in_total", "at_most"),
    [
        ([], NAN, NAN),
        ([(NAN,)], NAN, NAN),
        ([(2.0,), (3.0,)], 5.0, 3.0),
        ([(2.0,), (NAN,)], 2.0, 2.0),  # one device was reset: the others count
    ],
)
def test_a_sum_counts_the_devices_whose_rate_is_known(devices: list[Counters], in_total: float, at_most: float) -> None:
    assert repr((total(devices, 0), highest(devices, 0))) == repr((in_total, at_most))


def test_a_device_that_comes_and_goes_makes_no_spike_in_the_sum() -> None:
    days = {"eth0": 10_000.0, "usb0": 9e12}
    readings = [
        Reading(0, {"eth0": (days["eth0"],)}),
        Reading(1, {"eth0": (days["eth0"] + 5,), "usb0": (days["usb0"],)}),
        Reading(2, {"eth0": (days["eth0"] + 10,), "usb0": (days["usb0"] + 7,)}),
        Reading(3, {"eth0": (days["eth0"] + 15,)}),
        Reading(4, {"eth0": (days["eth0"] + 20,), "usb0": (3.0,)}),
    ]
    sums = [total(rates(a, b).values(), 0) for a, b in itertools.pairwise(readings)]
    assert sums == [5, 12, 5, 5]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(None, (1.0, 1.0), None, id="the first reading"),
        pytest.param((0.0, 0.0), (1.0, 3.0), (25.0, 75.0), id="shares add up to 100"),
        pytest.param((5.0, 5.0), (5.0, 5.0), None, id="no time passed"),
        pytest.param((5.0, 5.0), (4.0, 9.0), None, id="busy time that went back is a reset"),
        pytest.param((5.0, 5.0), (7.0, 4.9), (100.0, 0.0), id="idle time that steps back a little is none"),
        pytest.param((5.0,), (5.0, 1.0), None, id="another kernel's modes"),
    ],
)
def test_shares(before: Counters | None, now: Counters, expected: Counters | None) -> None:
    assert shares_percent(before, now, idle=1) == expected
