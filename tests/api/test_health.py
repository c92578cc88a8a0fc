from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import Engine

from store.engine import connect, writing

NOWHERE = "127.0.0.1:1"


def _readiness(client: FlaskClient) -> tuple[int, list[str] | None]:
    answer = client.get("/readyz")
    assert NOWHERE not in answer.text
    return answer.status_code, answer.get_json(force=True).get("not_ready")


def test_a_server_with_database_and_redis_is_ready(client: FlaskClient) -> None:
    assert _readiness(client) == (200, None)


def test_a_server_without_redis_names_it(make_client: Callable[..., FlaskClient]) -> None:
    assert _readiness(make_client(redis_url=f"redis://{NOWHERE}/0")) == (503, ["redis"])


def test_a_server_without_its_database_names_it(make_client: Callable[..., FlaskClient]) -> None:
    assert _readiness(make_client(database=connect(f"postgresql://{NOWHERE}/x"))) == (503, ["database"])


def test_a_server_on_a_database_of_another_revision_names_it(client: FlaskClient, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert _readiness(client) == (503, ["database"])


def test_the_process_is_alive_whatever_else_is_not(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(database=connect(f"postgresql://{NOWHERE}/x"), redis_url=f"redis://{NOWHERE}/0")
    assert client.get("/healthz").get_json() == {"status": "alive"}
