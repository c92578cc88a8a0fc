import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from store import sessions
from store.engine import reading, writing
from store.schema import sessions as session_rows
from store.schema import sign_in_codes

NOW = 1_800_000_000.0
HOUR = 3600.0
MONTH = 30 * 86400.0


def _add_code(engine: Engine, now: float = NOW) -> str:
    with writing(engine) as connection:
        return sessions.add_code(connection, now)


def _redeem(engine: Engine, code: str, now: float = NOW) -> bool:
    with writing(engine) as connection:
        return sessions.redeem_code(connection, code, now)


def _open(engine: Engine, now: float = NOW) -> str:
    with writing(engine) as connection:
        return sessions.open_session(connection, now)


def _is_open(engine: Engine, token: str, now: float = NOW) -> bool:
    with reading(engine) as connection:
        return sessions.is_open(connection, token, now)


def test_a_code_is_good_once(engine: Engine) -> None:
    code = _add_code(engine)
    assert [_redeem(engine, code), _redeem(engine, code)] == [True, False]


def test_of_many_that_come_with_one_code_at_once_one_gets_in(engine: Engine) -> None:
    code = _add_code(engine)
    together = threading.Barrier(4)

    def come(_: int) -> bool:
        together.wait(10)
        return _redeem(engine, code)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(come, range(4))) == [False, False, False, True]


@pytest.mark.parametrize(("age", "good"), [(HOUR - 1, True), (HOUR, False)])
def test_a_code_is_good_for_an_hour(engine: Engine, age: float, good: bool) -> None:
    assert _redeem(engine, _add_code(engine), NOW + age) is good


@pytest.mark.parametrize(("age", "good"), [(MONTH - 1, True), (MONTH, False)])
def test_a_session_is_open_for_thirty_days(engine: Engine, age: float, good: bool) -> None:
    assert _is_open(engine, _open(engine), NOW + age) is good


def test_a_session_that_was_closed_is_not_open_and_others_are(engine: Engine) -> None:
    mine, other = _open(engine), _open(engine)
    with writing(engine) as connection:
        sessions.close_session(connection, mine)
    assert (_is_open(engine, mine), _is_open(engine, other)) == (False, True)


@pytest.mark.parametrize("guess", ["", "guess", "\udcff", "x" * 100_000])
def test_a_guess_is_neither_a_code_nor_a_session(engine: Engine, guess: str) -> None:
    _add_code(engine)
    _open(engine)
    assert (_redeem(engine, guess), _is_open(engine, guess)) == (False, False)


def test_a_code_is_no_session(engine: Engine) -> None:
    assert not _is_open(engine, _add_code(engine))


@pytest.mark.parametrize("make", [_add_code, _open])
def test_the_database_cannot_tell_what_was_handed_out(engine: Engine, make: Callable[[Engine], str]) -> None:
    secret = make(engine)
    with reading(engine) as connection:
        rows = [*connection.execute(sign_in_codes.select()), *connection.execute(session_rows.select())]
    assert len(rows) == 1
    assert secret not in str(rows)


def test_what_expired_is_removed_when_the_next_one_is_made(engine: Engine) -> None:
    _add_code(engine)
    _open(engine)
    _add_code(engine, NOW + MONTH)
    _open(engine, NOW + MONTH)
    with reading(engine) as connection:
        assert len(connection.execute(sign_in_codes.select()).all()) == 1
        assert len(connection.execute(session_rows.select()).all()) == 1
