from typing import Any

import numpy as np
from flask.testing import FlaskClient
from sqlalchemy import Engine, insert

from store.engine import writing
from store.filesystems import MISSING, encode_mounts, point_type
from store.schema import filesystem_history
from tests.api.conftest import NOW


def test_each_filesystem_shows_its_history_and_when_it_will_be_full(
    client: FlaskClient, engine: Engine, rows: Any
) -> None:
    web = rows.host("web")
    points = np.array(
        [(NOW - 600, (6000, MISSING, 30000, 1200)), (NOW - 300, (6003, MISSING, 36000, 1200))], point_type(2)
    )
    with writing(engine) as connection:
        connection.execute(
            insert(filesystem_history),
            {"host_id": web, "mounts": encode_mounts(["/", "/srv"]), "points": points.tobytes(), "next_at": NOW},
        )
    rows.event(web, "disk_forecast", opened_at=NOW - 60, subject="/srv", value=3600.0)
    rows.event(web, "disk_forecast", opened_at=NOW - 60, subject="/ (inodes)", value=7200.0, state="resolved")
    assert client.get("/api/v1/hosts/web/filesystems").get_json() == {
        "items": [
            {
                "mount": "/",
                "t": [NOW - 600, NOW - 300],
                "used_percent": [10.0, 10.01],
                "inodes_percent": [None, None],
                "full_at": None,
                "inodes_full_at": None,
            },
            {
                "mount": "/srv",
                "t": [NOW - 600, NOW - 300],
                "used_percent": [50.0, 60.0],
                "inodes_percent": [2.0, 2.0],
                "full_at": "2027-01-15T08:59:00.000Z",
                "inodes_full_at": None,
            },
        ],
        "next": None,
    }


def test_a_host_that_was_not_looked_at_yet_has_none(client: FlaskClient, rows: Any) -> None:
    rows.host("new")
    assert client.get("/api/v1/hosts/new/filesystems").get_json() == {"items": [], "next": None}
