import json
from typing import Any

from flask.testing import FlaskClient

from wire.metrics import NAMES
from wire.snapshot import Details, DiskHealth, Filesystem, Interface, Process, Service


def _pages(client: FlaskClient, address: str) -> list[list[dict[str, Any]]]:
    pages = []
    cursor = ""
    while cursor is not None:
        page = client.get(address + cursor).get_json()
        pages.append(page["items"])
        cursor = None if page["next"] is None else f"&cursor={page['next']}"
    return pages


def _names(client: FlaskClient, query: str) -> list[str]:
    return [host["name"] for host in client.get(f"/api/v1/hosts?{query}").get_json()["items"]]


def test_a_host_shows_its_last_snapshot(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web", tags=["eu", "blue"])
    rows.snapshot(web, taken_at=1_799_999_990.0, sequence=1, cpu_percent=99.0)
    rows.snapshot(web, taken_at=1_799_999_995.5, sequence=2, cpu_percent=12.5, memory_percent=40.0)
    assert client.get("/api/v1/hosts").get_json() == {
        "items": [
            {
                "id": web,
                "name": "web",
                "health": "healthy",
                "last_seen": "2027-01-15T07:59:55.500Z",
                "tags": ["blue", "eu"],
                "monitoring": True,
                "interval_seconds": 5.0,
                "open_events": 0,
                "maintenance": None,
                "metrics": dict.fromkeys(NAMES) | {"cpu_percent": 12.5, "memory_percent": 40.0},
            }
        ],
        "next": None,
    }


def test_a_host_that_was_never_seen_is_unknown_and_has_no_values(client: FlaskClient, rows: Any) -> None:
    rows.host("new", interval_seconds=10.0)
    [host] = client.get("/api/v1/hosts").get_json()["items"]
    assert (host["health"], host["last_seen"], host["interval_seconds"]) == ("unknown", None, 10.0)
    assert host["metrics"] == dict.fromkeys(NAMES)


def test_pages_hold_every_host_once_in_the_order_of_names(client: FlaskClient, rows: Any) -> None:
    for name in ("delta", "alpha", "echo", "bravo", "charlie"):
        rows.host(name)
    pages = _pages(client, "/api/v1/hosts?limit=2")
    assert [[host["name"] for host in page] for page in pages] == [["alpha", "bravo"], ["charlie", "delta"], ["echo"]]


def test_a_full_last_page_leads_nowhere(client: FlaskClient, rows: Any) -> None:
    rows.host("alpha")
    rows.host("bravo")
    assert client.get("/api/v1/hosts?limit=2").get_json()["next"] is None


HEALTH_OF = {
    # severities of its open events: the health of a host
    (): "healthy",
    ("low",): "warning",
    ("medium", "low"): "warning",
    ("low", "high"): "critical",
    ("critical", "medium", "low"): "critical",
}


def test_the_health_of_a_host_is_that_of_its_worst_open_event(client: FlaskClient, rows: Any) -> None:
    expected = {}
    for number, (severities, health) in enumerate(HEALTH_OF.items()):
        host = rows.host(f"h-{number}")
        rows.snapshot(host)
        rows.event(host, severity="critical", state="resolved", resolved_at=1.0)
        for severity in severities:
            rows.event(host, type=f"type_{severity}", severity=severity)
        expected[f"h-{number}"] = (health, len(severities))
    rows.host("silent")
    expected["silent"] = ("unknown", 0)
    items = client.get("/api/v1/hosts").get_json()["items"]
    assert {host["name"]: (host["health"], host["open_events"]) for host in items} == expected
    for health in ("healthy", "warning", "critical", "unknown"):
        assert _names(client, f"health={health}") == [name for name, (is_, _) in expected.items() if is_ == health]


def test_hosts_are_found_by_tag_and_by_how_their_name_begins(client: FlaskClient, rows: Any) -> None:
    rows.host("web-1", tags=["eu"])
    rows.host("Web-2", tags=["us"])
    rows.host("webx1", tags=["eu"])
    rows.host("db_1", tags=["eu"])
    rows.host("dba1")
    assert sorted(_names(client, "name=WEB-")) == ["Web-2", "web-1"]
    assert _names(client, "name=db_") == ["db_1"]
    assert _names(client, "tag=eu&name=web") == ["web-1", "webx1"]
    assert _names(client, "tag=%25") == []


def test_a_revoked_host_leaves_the_list_but_keeps_its_history(client: FlaskClient, rows: Any) -> None:
    rows.host("gone", revoked_at=1.0)
    assert _names(client, "") == []
    assert client.get("/api/v1/hosts/gone").status_code == 200


def test_one_host_is_found_by_id_and_by_name_with_its_details(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    details = Details(
        filesystems=(Filesystem("/", "/dev/sda1", "ext4", 100.0, 90.0, 90.0),),
        interfaces=(Interface("eth0", 1.0, 2.0, float("nan"), 0.0),),
        services=(Service("nginx.service", running=False, state="failed"),),
        disk_health=(DiskHealth("/dev/sda", failing=True, reason="SMART says so"),),
        cpu_count=4,
        platform="linux",
        os_name="Debian 12",
        hostname="web.example",
        collector_version="0.1.0",
    )
    rows.details(web, details)
    host = client.get("/api/v1/hosts/web").get_json()
    assert host == client.get(f"/api/v1/hosts/{web}").get_json()
    assert (host["platform"], host["os_name"], host["cpu_count"]) == ("linux", "Debian 12", 4)
    assert host["filesystems"][0]["mount"] == "/"
    assert host["filesystems"][0]["inodes_percent"] is None
    assert host["interfaces"][0]["errors_per_second"] is None
    assert host["services"] == [{"name": "nginx.service", "running": False, "state": "failed"}]
    assert host["disk_health"][0]["reason"] == "SMART says so"


def test_details_that_cannot_be_read_hide_nothing_else(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    rows.snapshot(web, cpu_percent=5.0)
    rows.details(web, b"\xc1 nonsense")
    host = client.get("/api/v1/hosts/web").get_json()
    assert (host["metrics"]["cpu_percent"], host["filesystems"]) == (5.0, [])


def test_processes_are_listed_once_the_busiest_first(client: FlaskClient, rows: Any) -> None:
    web = rows.host("web")
    idle = Process(1, 1_799_999_000.0, "init", "root", 0.5, 1.0, 1e6)
    busy = Process(2, 1_799_999_000.5, "burn\x1b[31m", "app", 190.0, 0.1, 1e5, "burn --cpu")
    large = Process(3, 1_799_999_001.0, "cache", "app", 2.0, 60.0, 1e9)
    rows.details(web, Details(processes_by_cpu=(busy, idle), processes_by_memory=(large, busy)), taken_at=1_799_999_999)
    answer = client.get("/api/v1/hosts/web/processes").get_json()
    assert [process["pid"] for process in answer["items"]] == [2, 3, 1]
    assert answer["items"][0] == {
        "pid": 2,
        "start_time": "2027-01-15T07:43:20.500Z",
        "name": "burn\x1b[31m",
        "user": "app",
        "cpu_percent": 190.0,
        "memory_percent": 0.1,
        "memory_bytes": 1e5,
        "command": "burn --cpu",
    }
    assert (answer["taken_at"], answer["next"]) == ("2027-01-15T07:59:59.000Z", None)


def test_a_host_that_was_never_seen_has_no_processes(client: FlaskClient, rows: Any) -> None:
    rows.host("new")
    assert json.loads(client.get("/api/v1/hosts/new/processes").data) == {"items": [], "next": None, "taken_at": None}
