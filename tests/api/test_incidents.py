from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, insert

from store.engine import writing
from store.schema import incidents

NOW = 1_800_000_000.0
PATH = "/api/v1/incidents"


def add_incident(engine: Engine, opened_at: float = NOW, **columns: Any) -> int:
    row = {"tags": [], "opened_at": opened_at, "last_opened_at": opened_at} | columns
    with writing(engine) as connection:
        added: int = connection.execute(insert(incidents).returning(incidents.c.id), row).scalar_one()
    return added


def test_an_incident_of_one_host_is_shown_with_its_cause_and_its_members(
    client: FlaskClient, engine: Engine, rows: Any
) -> None:
    web = rows.host("web")
    incident = add_incident(engine, host_id=web, last_opened_at=NOW + 60)
    cpu = rows.event(web, "cpu_high", opened_at=NOW, incident_id=incident, state="resolved", resolved_at=NOW + 90)
    disk = rows.event(
        web, "disk_full", subject="/var", severity="critical", opened_at=NOW + 60, incident_id=incident, muted=True
    )
    shown = client.get(f"{PATH}/{incident}").get_json()
    members = shown.pop("members")
    cause = shown.pop("cause")
    assert shown == {
        "id": incident,
        "title": "disk_full of /var on web, and 1 more",
        "state": "open",
        "severity": "critical",
        "host": "web",
        "host_id": web,
        "type": None,
        "tags": [],
        "opened_at": "2027-01-15T08:00:00.000Z",
        "last_opened_at": "2027-01-15T08:01:00.000Z",
        "resolved_at": None,
        "hosts": 1,
        "events": 2,
        "open_events": 1,
        "muted_events": 1,
    }
    assert cause == client.get(f"/api/v1/events/{disk}").get_json()
    assert [member["id"] for member in members] == [disk, cpu]
    assert client.get(PATH).get_json() == {"items": [shown | {"cause": cause}], "next": None}


def test_an_incident_of_many_hosts_is_named_by_what_they_share(client: FlaskClient, engine: Engine, rows: Any) -> None:
    tagged = add_incident(engine, type="host_down", tags=["web", "prod"])
    across = add_incident(engine, type="cpu_high")
    for number in range(2):
        host = rows.host(f"host-{number}")
        rows.event(host, "host_down", incident_id=tagged)
        rows.event(host, "cpu_high", incident_id=across, state="resolved", resolved_at=NOW + number)
    titles = {one["id"]: (one["title"], one["resolved_at"]) for one in client.get(PATH).get_json()["items"]}
    assert titles == {
        tagged: ("host_down on 2 hosts tagged web", None),
        across: ("cpu_high on 2 hosts across the fleet", "2027-01-15T08:00:01.000Z"),
    }


def test_incidents_are_found_by_each_filter_in_pages(client: FlaskClient, engine: Engine, rows: Any) -> None:
    web, db = rows.host("web"), rows.host("db")
    added = [add_incident(engine, NOW + place, host_id=web) for place in range(3)]
    for incident, host, state in zip(added, (web, web, db), ("open", "resolved", "open"), strict=True):
        rows.event(host, subject=str(incident), incident_id=incident, state=state)
    newest_first = added[::-1]
    assert _ids(client, "") == newest_first
    assert _ids(client, "state=open") == [added[2], added[0]]
    assert _ids(client, "state=resolved") == [added[1]]
    assert _ids(client, "host=db") == [added[2]]
    assert _ids(client, f"since={NOW + 1}") == newest_first[:2]
    for extra in ("", "&state=open"):
        page = client.get(f"{PATH}?limit=1{extra}").get_json()
        rest = client.get(f"{PATH}?limit=9{extra}&cursor={page['next']}").get_json()
        assert [one["id"] for one in page["items"] + rest["items"]] == _ids(client, extra.removeprefix("&"))


def test_an_incident_that_there_is_not_is_not_found(client: FlaskClient) -> None:
    assert client.get(f"{PATH}/1").status_code == 404
    assert client.get(f"{PATH}/x").status_code == 404


def _ids(client: FlaskClient, query: str) -> list[int]:
    return [incident["id"] for incident in client.get(f"{PATH}?{query}").get_json()["items"]]
