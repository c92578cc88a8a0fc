from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select

from store.engine import connect, reading, writing
from store.enrollment import EnrollmentRefused, enroll, enrolled_hosts, revoke
from store.schema import host_state, hosts, metadata, tags


@pytest.fixture
def memory() -> Iterator[Engine]:
    """Tables in memory: enough for what never reaches the database."""
    engine = connect("sqlite://")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_an_enrolled_host_has_its_row_its_state_and_its_tags(engine: Engine) -> None:
    with writing(engine) as connection:
        host = enroll(
            connection, "web-1", now=100.0, tags_of_host=["web", "eu", "web"], services=["nginx"], interval_seconds=10
        )
    with reading(engine) as connection:
        row = connection.execute(select(hosts)).mappings().one()
        state = connection.execute(select(host_state)).mappings().one()
        found = connection.execute(select(tags.c.host_id, tags.c.tag).order_by(tags.c.tag)).all()
    assert (row["id"], row["name"], state["key"]) == (host.id, "web-1", host.key)
    assert (row["enrolled_at"], row["monitoring_changed_at"], row["paused"]) == (100.0, 100.0, False)
    assert (row["services"], row["interval_seconds"]) == (["nginx"], 10.0)
    assert (state["host_id"], state["sequence"], state["received_at"]) == (host.id, 0, None)
    assert state["interval_seconds"] == 10.0
    assert [tuple(tag) for tag in found] == [(host.id, "eu"), (host.id, "web")]


def test_every_host_gets_a_key_of_its_own(engine: Engine) -> None:
    with writing(engine) as connection:
        made = [enroll(connection, name, now=1.0) for name in ("a", "b")]
    with reading(engine) as connection:
        assert enrolled_hosts(connection) == made
    assert made[0].key != made[1].key


def test_a_revoked_host_is_enrolled_no_more(engine: Engine) -> None:
    with writing(engine) as connection:
        revoke(connection, enroll(connection, "web-1", now=1.0).id, now=2.0)
    with reading(engine) as connection:
        assert enrolled_hosts(connection) == []


def test_a_name_is_enrolled_only_once_and_a_refusal_breaks_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        enroll(connection, "web-1", now=1.0)
    with writing(engine) as connection:
        with pytest.raises(EnrollmentRefused, match="web-1 is enrolled already"):
            enroll(connection, "web-1", now=2.0)
        enroll(connection, "web-2", now=2.0)
    with reading(engine) as connection:
        assert [host.name for host in enrolled_hosts(connection)] == ["web-1", "web-2"]


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "42", "a/b", "é", "a" * 64, "a\n", "a;b"])
def test_a_name_that_no_route_could_take_is_refused(memory: Engine, name: str) -> None:
    with writing(memory) as connection, pytest.raises(EnrollmentRefused, match="name"):
        enroll(connection, name, now=1.0)


@pytest.mark.parametrize("name", ["a", "7a", "a" * 63, "web-1.example.com", "Web_1"])
def test_a_usual_host_name_is_taken(memory: Engine, name: str) -> None:
    with writing(memory) as connection:
        made = enroll(connection, name, now=1.0)
        assert enrolled_hosts(connection) == [made]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tags_of_host": ["ok", "not ok"]}, "tag 'not ok'"),
        ({"tags_of_host": ["a" * 65]}, "tag"),
        ({"services": ["--now"]}, "service '--now'"),
        ({"services": ["nginx; reboot"]}, "service"),
        ({"interval_seconds": 0.5}, "interval 0.5"),
        ({"interval_seconds": float("nan")}, "interval"),
        ({"interval_seconds": 86400.0}, "interval"),
    ],
)
def test_what_cannot_be_used_is_named(memory: Engine, wrong: dict[str, list[str]], message: str) -> None:
    with writing(memory) as connection, pytest.raises(EnrollmentRefused, match=message):
        enroll(connection, "web-1", now=1.0, **wrong)
