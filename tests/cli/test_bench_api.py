"""``bench api``, small, with all of its real parts."""

import json

from tests.system.all_in_one import fleetmedic

ROUTES = {
    "hosts page",
    "events page",
    "open events",
    "fleet summary",
    "host",
    "diagnosis",
    "chart 1 h",
    "chart 6 h",
    "chart 24 h",
    "chart 7 d",
    "chart 30 d",
}


def test_it_times_every_route_while_history_is_rolled_up_and_deleted() -> None:
    done = fleetmedic(
        *("bench", "api", "--hosts", "20", "--whole-hosts", "1", "--seconds", "8", "--rate", "15", "--json")
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["failures"] == []
    assert (figures["hosts"], figures["hosts_with_all_history"], figures["requests"]) == (20, 1, 120)
    assert set(figures["routes"]) == ROUTES
    assert all(0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"] for times in figures["routes"].values())
    assert figures["diagnosis_of_fleet_ms"] > 0
    assert set(figures["previews"]) == {"25 %", "45 %", "60 %", "90 %"}
    # A day of one host and an hour of all; a month of one host and an hour of the others.
    assert figures["rows"]["snapshots"] == 2880 - 120 + 20 * 121
    assert figures["rows"]["rollups_5m"] == 30 * 288 + 19 * 12
    assert figures["rows"]["rollups_1h"] == 30 * 24 + 19
    for had, left in figures["meanwhile"].values():
        assert left < had
