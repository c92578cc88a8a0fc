"""What Windows and macOS read through psutil, as far as it can run here."""

import math
from collections.abc import Callable, Mapping

import pytest

from collector.rates import Counters
from collector.readers import cpu, disks, filesystems, network, sensors


@pytest.mark.parametrize(
    ("read", "columns"),
    [(lambda: cpu._elsewhere()[0], 5), (disks._elsewhere, 5), (network._elsewhere, 4)],
    ids=["cpu", "disks", "network"],
)
def test_counters_have_the_same_columns_as_on_linux(read: Callable[[], Mapping[str, Counters]], columns: int) -> None:
    counters = read()
    assert counters
    assert {len(values) for values in counters.values()} == {columns}


def test_busy_time_that_psutil_does_not_know_is_missing() -> None:
    assert all(math.isnan(values[4]) for values in disks._elsewhere().values())


def test_filesystems_are_local_and_have_a_type() -> None:
    mounts = filesystems._elsewhere()
    assert all(mount.fstype and mount.device for mount in mounts)


def test_sensors_have_names_and_numbers() -> None:
    assert all(sensor.name and math.isfinite(sensor.celsius) for sensor in sensors._elsewhere())
