from datetime import UTC, datetime
from typing import Any

from flask.testing import FlaskClient

START = 1_799_996_400
"""An hour before the tests' present."""


def _metrics(client: FlaskClient, query: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/hosts/web/metrics?{query}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_each_bucket_holds_average_minimum_and_maximum(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    for sequence, (taken_at, cpu) in enumerate([(0, 10.0), (5, 20.0), (29.9, 60.0), (30, 80.0)], 1):
        rows.snapshot(web, START + taken_at, sequence, cpu_percent=cpu)
    assert _metrics(client, f"names=cpu_percent&from={START}&to={START + 60}&points=2") == {
        "start": "2027-01-15T07:00:00.000Z",
        "end": "2027-01-15T07:01:00.000Z",
        "step_seconds": 30,
        "series": {
            "cpu_percent": {"t": [START, START + 30], "avg": [30.0, 80.0], "min": [10.0, 80.0], "max": [60.0, 80.0]}
        },
    }


def test_buckets_without_a_value_are_left_out_metric_by_metric(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, START + 1, 1, cpu_percent=10.0, swap_percent=1.0)
    rows.snapshot(web, START + 31, 2, cpu_percent=20.0, swap_percent=None)
    rows.snapshot(web, START + 91, 3, cpu_percent=30.0, swap_percent=2.0)
    series = _metrics(client, f"names=cpu_percent,swap_percent&from={START}&to={START + 120}&points=4")["series"]
    assert series["cpu_percent"]["t"] == [START, START + 30, START + 90]
    assert series["swap_percent"]["t"] == [START, START + 90]


def test_without_a_range_it_is_the_last_hour(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, START - 60, 1, cpu_percent=1.0)
    rows.snapshot(web, START + 3599.9, 2, cpu_percent=2.0)
    answer = _metrics(client, "")
    assert answer["step_seconds"] == 30
    assert answer["series"]["cpu_percent"]["avg"] == [2.0]
    assert {"memory_percent", "disk_percent"} <= set(answer["series"])


def test_the_step_is_never_finer_than_the_interval(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, START)
    assert _metrics(client, f"from={START}&to={START + 60}&points=2000")["step_seconds"] == 5


def test_a_host_that_was_never_seen_has_empty_series(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    assert _metrics(client, "names=load_1")["series"] == {"load_1": {"t": [], "avg": [], "min": [], "max": []}}


def test_times_are_taken_as_rfc_3339_and_as_unix_seconds(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, START + 10, cpu_percent=7.0)
    written = datetime.fromtimestamp(START, UTC).isoformat().replace("+", "%2B")
    assert _metrics(client, f"from={written}&to={START + 60}") == _metrics(client, f"from={START}&to={START + 60}.0")


def test_the_history_of_another_host_stays_out(client: FlaskClient, rows: Any) -> None:
    rows.host("web")
    rows.snapshot(rows.host("other"), START + 10, cpu_percent=7.0)
    assert _metrics(client, "names=cpu_percent")["series"]["cpu_percent"]["t"] == []


def test_the_widest_range_is_answered(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, START, cpu_percent=7.0)
    answer = _metrics(client, "names=cpu_percent&from=0&to=9999-12-31T00:00:00Z&points=2")
    assert answer["series"]["cpu_percent"]["avg"] == [7.0]
