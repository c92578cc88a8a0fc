from typing import Any

from flask.testing import FlaskClient

NOW = 1_800_000_000.0


def _ids(client: FlaskClient, query: str) -> list[int]:
    return [event["id"] for event in client.get(f"/api/v1/events?{query}").get_json()["items"]]


def test_an_event_is_shown_with_all_that_is_known_of_it(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    evidence = {"processes": [{"pid": 7, "name": "burn\u0007 <b>", "cpu_percent": 99.5}]}
    event = rows.event(
        web,
        opened_at=NOW - 60,
        state="resolved",
        resolved_at=NOW - 1,
        last_at=NOW - 10,
        evidence=evidence,
        explanation="CPU at 99 %.",
    )
    expected = {
        "id": event,
        "host": "web",
        "host_id": web,
        "type": "cpu_high",
        "subject": "web",
        "severity": "high",
        "state": "resolved",
        "value": 91.0,
        "limit": 85.0,
        "first_value": 90.0,
        "peak_value": 99.0,
        "peak_at": "2027-01-15T07:59:00.000Z",
        "started_at": "2027-01-15T07:58:30.000Z",
        "opened_at": "2027-01-15T07:59:00.000Z",
        "last_at": "2027-01-15T07:59:50.000Z",
        "resolved_at": "2027-01-15T07:59:59.000Z",
        "resolved_by": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "flapping": False,
        "openings": 1,
        "reopened_at": None,
        "notes": 0,
        "cleared": False,
        "evidence": evidence,
        "incident_id": None,
        "muted": False,
        "muted_by": None,
        "explanation": "CPU at 99 %.",
        "script_id": None,
    }
    assert client.get(f"/api/v1/events/{event}").get_json() == expected
    assert client.get("/api/v1/events").get_json() == {"items": [expected], "next": None}


def test_the_times_in_its_evidence_are_rfc_3339(client: FlaskClient, rows: Any) -> None:
    processes = [{"pid": 7, "start_time": NOW - 0.25, "command": "x"}]
    changes = [{"at": NOW - 1, "kind": "boot", "text": "the host booted"}]
    evidence = {"taken_at": NOW, "last_seen": None, "processes": processes, "changes": changes}
    event = rows.event(rows.host("web"), evidence=evidence)
    assert client.get(f"/api/v1/events/{event}").get_json()["evidence"] == {
        "taken_at": "2027-01-15T08:00:00.000Z",
        "last_seen": None,
        "processes": [{"pid": 7, "start_time": "2027-01-15T07:59:59.750Z", "command": "x"}],
        "changes": [{"at": "2027-01-15T07:59:59.000Z", "kind": "boot", "text": "the host booted"}],
    }


def test_an_event_of_a_part_of_the_host_names_that_part(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), type="disk_full", subject="/var")
    assert client.get(f"/api/v1/events/{event}").get_json()["subject"] == "/var"


def test_a_time_that_cannot_be_written_is_null(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), peak_at=1e300)
    assert client.get(f"/api/v1/events/{event}").get_json()["peak_at"] is None


def test_pages_hold_every_event_once_the_last_opened_first(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    opened = [NOW - 30, NOW - 10, NOW - 10, NOW - 10, NOW - 20]
    events = [rows.event(web, subject=str(place), opened_at=at) for place, at in enumerate(opened)]
    in_order = [events[3], events[2], events[1], events[4], events[0]]
    for extra in ("", "&state=open"):
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = client.get(f"/api/v1/events?limit=2{extra}{cursor}").get_json()
            seen += [event["id"] for event in page["items"]]
            cursor = None if page["next"] is None else f"&cursor={page['next']}"
        assert seen == in_order


def test_events_are_found_by_each_filter_and_by_all_together(client: FlaskClient, rows: Any) -> None:
    web, db = rows.host("web"), rows.host("db")
    old = rows.event(web, opened_at=NOW - 7200, state="resolved", resolved_at=NOW - 7000)
    cpu = rows.event(web, opened_at=NOW - 60)
    disk = rows.event(web, type="disk_full", subject="/", opened_at=NOW - 50, severity="critical")
    down = rows.event(db, type="host_down", opened_at=NOW - 40, severity="critical")
    assert _ids(client, "type=cpu_high") == [cpu, old]
    assert _ids(client, "severity=critical") == [down, disk]
    assert _ids(client, "state=open") == [down, disk, cpu]
    assert _ids(client, "state=resolved") == [old]
    assert _ids(client, "host=web") == [disk, cpu, old]
    assert _ids(client, f"host={db}") == [down]
    assert _ids(client, "host=*") == _ids(client, "")
    assert _ids(client, f"since={NOW - 50}") == [down, disk]
    assert _ids(client, "since=2027-01-15T07:59:10Z") == [down, disk]
    assert _ids(client, f"type=disk_full&severity=critical&state=open&host=web&since={NOW - 60}") == [disk]
    assert _ids(client, "type=no_such_type") == []


def test_events_are_found_by_what_mutes_them_and_by_their_incident(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    counted = rows.event(web, "cpu_high", incident_id=1)
    muted = rows.event(web, "disk_full", incident_id=2, muted=True, muted_by="maintenance", muted_by_id=7)
    unmuted = rows.event(web, "memory_high", incident_id=2, muted_by="maintenance", muted_by_id=7)
    behind = rows.event(web, "service_down", incident_id=3, muted=True, muted_by="host_down", muted_by_id=7)
    assert sorted(_ids(client, "muted=true")) == [muted, behind]
    assert sorted(_ids(client, "muted=false")) == [counted, unmuted]
    assert sorted(_ids(client, "maintenance=7")) == [muted, unmuted]
    assert sorted(_ids(client, "incident=2")) == [muted, unmuted]
    assert client.get(f"/api/v1/events/{behind}").get_json()["muted_by"] == {"kind": "host_down", "id": 7}


def test_a_cleared_event_stays_in_the_history(client: FlaskClient, rows: Any) -> None:
    event = rows.event(rows.host("web"), state="resolved", resolved_at=NOW, cleared_at=NOW)
    [shown] = client.get("/api/v1/events").get_json()["items"]
    assert (shown["id"], shown["cleared"]) == (event, True)
