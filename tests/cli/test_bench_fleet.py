import numpy as np
import pytest

from cli.bench.fleet import HOSTS_TO_ONE_TROUBLED, INTERVAL_SECONDS, TROUBLED_ROUNDS, SimulatedFleet, troubled
from wire.metrics import CATALOGUE, NAMES, unpack_core
from wire.snapshot import decode_details, decode_snapshot

TAKEN_AT = 1.8e9


def _cores(fleet: SimulatedFleet, number: int) -> list[dict[str, float]]:
    return [unpack_core(decode_snapshot(body).core) for body in fleet.bodies(number, TAKEN_AT)]


def test_every_value_is_there_and_possible() -> None:
    for core in _cores(SimulatedFleet(200, processes=1), 2):
        assert set(core) == set(NAMES)
        assert all(metric.minimum <= core[metric.name] <= metric.maximum for metric in CATALOGUE)


def test_values_vary_slowly() -> None:
    fleet = SimulatedFleet(1, processes=1)
    # The first host is in trouble; its memory is not.
    before, after = (_cores(fleet, number)[0]["memory_percent"] for number in (0, 1))
    assert before != after
    assert after == pytest.approx(before, rel=0.05)


def test_a_fleet_is_the_same_every_time() -> None:
    assert [*SimulatedFleet(10, 1).bodies(0, TAKEN_AT)] == [*SimulatedFleet(10, 1).bodies(0, TAKEN_AT)]


def test_one_host_in_fifty_is_in_trouble_and_its_snapshot_says_so() -> None:
    size = 4 * HOSTS_TO_ONE_TROUBLED
    busy, full = troubled(size, 0)
    assert np.count_nonzero(busy | full) == size / HOSTS_TO_ONE_TROUBLED
    cores = _cores(SimulatedFleet(size, processes=1), 0)
    assert [core["cpu_percent"] > 85 for core in cores] == busy.tolist()
    assert [core["disk_percent"] > 85 for core in cores] == full.tolist()


def test_the_details_of_a_full_disk_name_it() -> None:
    size = 2 * HOSTS_TO_ONE_TROUBLED
    _, full = troubled(size, 0)
    bodies = [*SimulatedFleet(size, processes=1).bodies(0, TAKEN_AT)]
    for is_full, body in zip(full, bodies, strict=True):
        details = decode_details(decode_snapshot(body).details)
        assert (max(filesystem.used_percent for filesystem in details.filesystems) > 85) == is_full


def test_trouble_moves_on_to_other_hosts() -> None:
    before, after = (np.logical_or(*troubled(200, number)) for number in (0, TROUBLED_ROUNDS))
    assert before.any()
    assert not (before & after).any()


def test_a_round_is_taken_within_one_interval() -> None:
    taken = [decode_snapshot(body).taken_at for body in SimulatedFleet(7, 0).bodies(0, TAKEN_AT)]
    assert taken == sorted(taken)
    assert TAKEN_AT - INTERVAL_SECONDS < taken[0] < taken[-1] == TAKEN_AT
