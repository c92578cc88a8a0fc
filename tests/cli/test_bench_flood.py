"""``bench flood``, short, with all of its real parts."""

import json

from tests.system.all_in_one import fleetmedic


def test_a_flood_is_named_and_cut_and_its_neighbours_are_served() -> None:
    done = fleetmedic("bench", "flood", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["named_after_seconds"] > 0
    for name in ("with_1000_a_second", "with_100000_at_once"):
        assert figures[name]["taken_in_of_the_flood_a_second"] < 100
        assert figures[name]["same_shard"]["n"] > 0
        assert figures[name]["other_shard"]["n"] > 0
