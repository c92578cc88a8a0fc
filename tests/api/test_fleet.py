from typing import Any

from flask.testing import FlaskClient

NOW = 1_800_000_000.0


def test_an_empty_fleet_has_a_zero_for_everything_that_can_be_counted(client: FlaskClient) -> None:
    assert client.get("/api/v1/fleet/summary").get_json() == {
        "hosts": {"healthy": 0, "warning": 0, "critical": 0, "unknown": 0, "total": 0, "monitored": 0},
        "events": {
            "open": 0,
            "by_severity": {"low": 0, "medium": 0, "high": 0, "critical": 0},
            "by_type": {},
            "muted": 0,
        },
    }


def test_hosts_are_counted_by_health_and_open_events_by_severity_and_type(client: FlaskClient, rows: Any) -> None:
    ill, warned, well = rows.host("ill"), rows.host("warned"), rows.host("well", paused=True)
    rows.host("silent")
    for host in (ill, warned, well):
        rows.snapshot(host)
    rows.event(ill, "disk_full", subject="/", severity="critical")
    rows.event(ill, "disk_full", subject="/srv", severity="high")
    rows.event(warned, "cpu_spike", severity="medium")
    rows.event(well, "cpu_high", state="resolved", resolved_at=NOW)
    assert client.get("/api/v1/fleet/summary").get_json() == {
        "hosts": {"healthy": 1, "warning": 1, "critical": 1, "unknown": 1, "total": 4, "monitored": 3},
        "events": {
            "open": 3,
            "by_severity": {"low": 0, "medium": 1, "high": 1, "critical": 1},
            "by_type": {"disk_full": 2, "cpu_spike": 1},
            "muted": 0,
        },
    }


def test_muted_events_count_apart_and_not_for_their_host(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web)
    rows.event(web, "disk_full", severity="critical", muted=True, muted_by="maintenance", muted_by_id=1)
    rows.event(web, "cpu_spike", severity="medium")
    summary = client.get("/api/v1/fleet/summary").get_json()
    assert (summary["hosts"]["warning"], summary["events"]["open"], summary["events"]["muted"]) == (1, 1, 1)
    shown = client.get("/api/v1/hosts/web").get_json()
    assert (shown["health"], shown["open_events"]) == ("warning", 1)


def test_a_revoked_host_counts_no_more_nor_do_its_events(client: FlaskClient, rows: Any) -> None:
    rows.event(rows.host("gone", revoked_at=NOW - 1))
    summary = client.get("/api/v1/fleet/summary").get_json()
    assert (summary["hosts"]["total"], summary["events"]["open"]) == (0, 0)
