from pathlib import Path

import pytest
from sqlalchemy import Engine

from cli.own_host import ensure_own_host, usable_name
from store.engine import writing
from store.enrollment import EnrolledHost, enroll, enrolled_hosts
from wire.hostkey import parse_host_key


def _ensure(engine: Engine, key_file: Path, hostname: str) -> EnrolledHost:
    with writing(engine) as connection:
        return ensure_own_host(connection, enrolled_hosts(connection), key_file, hostname, now=1.0)


def test_this_machine_is_enrolled_once_whatever_it_is_called_later(engine: Engine, tmp_path: Path) -> None:
    first = _ensure(engine, tmp_path / "key", "laptop")
    second = _ensure(engine, tmp_path / "key", "renamed")
    assert second == first
    assert first.name == "laptop"
    assert parse_host_key((tmp_path / "key").read_text()) == (first.id, first.key)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_another_machine_of_the_same_name_gets_a_number(engine: Engine, tmp_path: Path) -> None:
    hosts = [_ensure(engine, tmp_path / f"key-{machine}", "laptop") for machine in range(3)]
    assert [host.name for host in hosts] == ["laptop", "laptop-2", "laptop-3"]
    assert len({host.key for host in hosts}) == 3


def test_the_key_of_another_database_is_no_key_here(engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        other = enroll(connection, "other", now=1.0)
    (tmp_path / "key").write_text(f"{other.id}.{'A' * 43}")
    own = _ensure(engine, tmp_path / "key", "laptop")
    assert own.id != other.id
    assert parse_host_key((tmp_path / "key").read_text()) == (own.id, own.key)


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("web-1.example.com", "web-1.example.com"),
        ("Ada's MacBook", "Ada-s-MacBook"),
        ("_x", "x"),
        ("42", "host-42"),
        ("", "host"),
        ("ö", "host"),
        ("a" * 80, "a" * 63),
    ],
)
def test_any_machine_has_a_usable_name(hostname: str, name: str) -> None:
    assert usable_name(hostname) == name


def test_a_number_fits_into_a_long_name() -> None:
    assert usable_name("a" * 80, 12) == "a" * 60 + "-12"
