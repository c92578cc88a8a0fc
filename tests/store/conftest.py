import pytest
from sqlalchemy import Engine

from store.engine import writing
from store.enrollment import enroll
from tests.store.script_requests import NOW


@pytest.fixture
def host_id(engine: Engine) -> int:
    with writing(engine) as connection:
        return enroll(connection, "web-1", now=NOW).id
