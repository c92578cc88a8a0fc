from flask.testing import FlaskClient
from msgspec import to_builtins
from msgspec.structs import replace
from sqlalchemy import Engine

from store import own_remedies, remedies
from store.engine import writing
from store.own_remedies import Found, Origin
from store.remedies import Parameter, Remedy

NOW = 1_800_000_000.0
MOUNT = Parameter("mount", "string", "where it is mounted", required=True, pattern="/.*")
DISK = Remedy(
    "disk_full", "Make room", "Removes what is safe to.", "1.0.0", ("disk_full",), "medium", False, parameters=(MOUNT,)
)
CPU = Remedy("cpu_high", "End it", "Ends the busiest.", "1.2.0", ("cpu_high", "cpu_spike"), "high", True)


def test_before_a_worker_has_published_any_there_are_none(client: FlaskClient) -> None:
    assert client.get("/api/v1/remedies").get_json() == {"items": [], "next": None, "faults": []}
    assert client.get("/api/agent/generate-script/list").get_json() == {"templates": [], "faults": []}


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


def test_those_that_users_added_stand_among_them_and_the_bad_ones_beside_them(
    client: FlaskClient, engine: Engine
) -> None:
    mine = replace(DISK, issue_type="emptied", source="/data/remedies/emptied")
    good = Found("emptied", mine.source, to_builtins(mine), {"bash": "#!/usr/bin/env bash\n"})
    bad = Found("broken", "/data/remedies/broken", fault="fix.sh: its fault")
    with writing(engine) as connection:
        remedies.publish(connection, [DISK, CPU], NOW)
        own_remedies.publish(connection, Origin("here", "/data/remedies"), [good, bad], NOW)
    by_name, by_old_name = (
        client.get("/api/v1/remedies").get_json(),
        client.get("/api/agent/generate-script/list").get_json(),
    )
    assert [(one["issue_type"], one["source"]) for one in by_name["items"]] == [
        ("cpu_high", "built-in"),
        ("disk_full", "built-in"),
        ("emptied", "/data/remedies/emptied"),
    ]
    assert by_name["faults"] == [{"folder": "/data/remedies/broken", "fault": "fix.sh: its fault"}]
    assert (by_old_name["templates"], by_old_name["faults"]) == (by_name["items"], by_name["faults"])
