from pathlib import Path

from tests.system.many_collectors import measure


def test_two_hundred_collectors_stay_connected_and_come_back_after_redis_was_killed(tmp_path: Path) -> None:
    found = measure(tmp_path, "sqlite", collectors=200, users=1000, interval=1, seconds=0.5, processes=1)
    assert found["connected_clients"] >= 200
    assert found["stored"] == found["distinct"] == found["produced"] >= 2 * 200
    assert found["rejected_connections"] == 0
