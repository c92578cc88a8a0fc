from flask.testing import FlaskClient
from sqlalchemy import Engine

from store import remedies
from store.engine import writing
from store.remedies import Parameter, Remedy

NOW = 1_800_000_000.0
MOUNT = Parameter("mount", "string", "where it is mounted", required=True, pattern="/.*")
DISK = Remedy(
    "disk_full", "Make room", "Removes what is safe to.", "1.0.0", ("disk_full",), "medium", False, parameters=(MOUNT,)
)
CPU = Remedy("cpu_high", "End it", "Ends the busiest.", "1.2.0", ("cpu_high", "cpu_spike"), "high", True)


def test_before_a_worker_has_published_any_there_are_none(client: FlaskClient) -> None:
    assert client.get("/api/v1/remedies").get_json() == {"items": [], "next": None}
    assert client.get("/api/agent/generate-script/list").get_json() == {"templates": []}


def test_remedies_are_listed_by_issue_type_with_all_that_is_known_of_them(client: FlaskClient, engine: Engine) -> None:
    with writing(engine) as connection:
        remedies.publish(connection, [DISK, CPU], NOW)
    listed = client.get("/api/v1/remedies").get_json()["items"]
    assert listed == client.get("/api/agent/generate-script/list").get_json()["templates"]
    assert [remedy["issue_type"] for remedy in listed] == ["cpu_high", "disk_full"]
    assert listed[1] == {
        "issue_type": "disk_full",
        "title": "Make room",
        "description": "Removes what is safe to.",
        "version": "1.0.0",
        "events": ["disk_full"],
        "risk": "medium",
        "requires_admin": False,
        "parameters": [
            {
                "name": "mount",
                "type": "string",
                "description": "where it is mounted",
                "required": True,
                "default": None,
                "minimum": None,
                "maximum": None,
                "max_length": 1024,
                "pattern": "/.*",
                "choices": [],
            }
        ],
        "script_types": ["bash", "powershell"],
        "source": "built-in",
    }
