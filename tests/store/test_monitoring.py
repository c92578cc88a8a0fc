from sqlalchemy import Engine, select, update

from store import monitoring
from store.engine import reading, writing
from store.enrollment import enroll
from store.schema import hosts


def _paused(engine: Engine) -> dict[str, tuple[bool, float]]:
    with reading(engine) as connection:
        rows = connection.execute(select(hosts.c.name, hosts.c.paused, hosts.c.monitoring_changed_at))
        return {name: (paused, changed_at) for name, paused, changed_at in rows}


def test_a_stop_reaches_the_host_that_is_meant_and_no_other(engine: Engine) -> None:
    with writing(engine) as connection:
        web = enroll(connection, "web", now=1.0).id
        enroll(connection, "db", now=1.0)
        assert monitoring.set_paused(connection, web, True, now=2.0) == 1
    assert _paused(engine) == {"web": (True, 2.0), "db": (False, 1.0)}


def test_a_host_that_is_already_as_asked_keeps_its_time(engine: Engine) -> None:
    with writing(engine) as connection:
        web = enroll(connection, "web", now=1.0).id
        enroll(connection, "db", now=1.0)
        monitoring.set_paused(connection, web, True, now=2.0)
        assert monitoring.set_paused(connection, None, True, now=3.0) == 2
    assert _paused(engine) == {"web": (True, 2.0), "db": (True, 3.0)}


def test_the_fleet_has_no_revoked_hosts(engine: Engine) -> None:
    with writing(engine) as connection:
        enroll(connection, "gone", now=1.0)
        connection.execute(update(hosts).values(revoked_at=2.0))
        assert monitoring.set_paused(connection, None, True, now=3.0) == 0
    assert _paused(engine) == {"gone": (False, 1.0)}
