import json
import os
import re
import shlex
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import redis
import trustme
from sqlalchemy import Engine

from cli.main import main
from cli.redis_server import without_credentials
from cli.server_file import ServerFile, write_server_file
from store.engine import reading
from store.enrollment import enrolled_hosts
from store.hosts import find
from tests.tls import authority_file, tls_in_front
from wire import keys
from wire.config import HostConfig, decode_config
from wire.hostkey import parse_host_key


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, engine: Engine, redis_url: str, tmp_path: Path) -> Engine:
    """A database and a Redis that the environment names."""
    monkeypatch.setenv("FLEETMEDIC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FLEETMEDIC_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FLEETMEDIC_REDIS_URL", redis_url)
    return engine


def _as_printed(command_line: str) -> redis.Redis:
    """Connect as the printed command would."""
    words = dict(word.split("=", 1) for word in shlex.split(command_line) if "=" in word)
    host_id, key = parse_host_key(words["FLEETMEDIC_HOST_KEY"])
    assert "@" not in words["FLEETMEDIC_REDIS_URL"]
    return redis.Redis.from_url(
        words["FLEETMEDIC_REDIS_URL"], username=keys.redis_user(host_id), password=keys.redis_password(key), retry=None
    )


def test_the_printed_command_lets_the_host_in(server: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enroll", "web-1"]) == 0
    told = capsys.readouterr().out
    (line,) = [line for line in told.splitlines() if "FLEETMEDIC_HOST_KEY" in line]
    with reading(server) as connection:
        (host,) = enrolled_hosts(connection)
    assert host.name == "web-1"
    with _as_printed(line) as client:
        assert client.rpush(keys.inbox(keys.shard_of(host.id)), b"entry") == 1
    assert "Redis listens on this machine only" in told


def test_what_is_asked_for_a_host_is_kept_and_published(
    server: Engine, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--tag", "web", "--tag", "eu", "--service", "nginx", "--interval", "10", "--json"]
    assert main(["enroll", "web-1", *arguments, "--redis-url", "redis://10.0.0.1:16379/0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["redis_url"]) == ("web-1", "redis://10.0.0.1:16379/0")
    with reading(server) as connection:
        host = find(connection, "web-1")
        assert host is not None
        assert (host.tags, host.interval_seconds) == (("eu", "web"), 10.0)
    with redis.Redis.from_url(redis_url) as client:
        config = decode_config(client.get(keys.config(host.id)))
    assert config == HostConfig(interval_seconds=10.0, services=("nginx",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["web-1"], "a host named web-1 is enrolled already"),
        (["web 2"], "the name 'web 2' cannot be used"),
        (["web-2", "--tag", "a b"], "the tag 'a b' cannot be used"),
    ],
)
def test_a_refusal_leaves_nothing_behind(
    arguments: list[str], message: str, server: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enroll", "web-1"]) == 0
    assert main(["enroll", *arguments]) == 1
    assert message in capsys.readouterr().err
    with reading(server) as connection:
        assert [host.name for host in enrolled_hosts(connection)] == ["web-1"]


def test_without_redis_no_host_is_made(
    server: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETMEDIC_REDIS_URL", "redis://127.0.0.1:9/0")
    assert main(["enroll", "web-1"]) == 1
    assert "the Redis of the server cannot be used" in capsys.readouterr().err
    with reading(server) as connection:
        assert enrolled_hosts(connection) == []


def test_a_database_without_tables_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETMEDIC_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setenv("FLEETMEDIC_REDIS_URL", redis_url)
    assert main(["enroll", "web-1"]) == 1
    assert "run `fleetmedic db upgrade`" in capsys.readouterr().err
    assert main(["db", "upgrade"]) == 0
    assert main(["enroll", "web-1"]) == 0


def test_a_running_up_is_found_in_its_data_folder(
    engine: Engine,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("FLEETMEDIC_DATABASE_URL", "FLEETMEDIC_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    database_url = engine.url.render_as_string(hide_password=False)
    up = ServerFile(os.getpid(), "http://x", "token", redis_url, database_url, "redis://192.0.2.7:16379/0")
    write_server_file(tmp_path, up)
    assert main(["enroll", "web-1", "--data-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "FLEETMEDIC_REDIS_URL=redis://192.0.2.7:16379/0 " in told
    assert "this machine only" not in told
    assert re.search(r"^  python3 -m venv", told, re.MULTILINE)


def test_a_host_with_a_key_file_is_enrolled_once(
    server: Engine, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key_file = tmp_path / "host-key"
    assert main(["enroll", "web-1", "--tag", "web", "--key-file", str(key_file)]) == 0
    host_id, key = parse_host_key(key_file.read_text())
    assert key_file.stat().st_mode & 0o777 == 0o600
    with redis.Redis.from_url(redis_url) as client:
        client.acl_deluser(keys.redis_user(host_id))
    assert main(["enroll", "another-name", "--key-file", str(key_file)]) == 0
    with reading(server) as connection:
        assert [(host.id, host.name, host.key) for host in enrolled_hosts(connection)] == [(host_id, "web-1", key)]
    told = capsys.readouterr().out
    assert told == 2 * f"web-1 is enrolled, its key is in {key_file}\n"
    user, password = keys.redis_user(host_id), keys.redis_password(key)
    with redis.Redis.from_url(without_credentials(redis_url), username=user, password=password) as client:
        assert client.ping()


def test_a_host_with_a_key_file_renews_the_access_of_the_others(server: Engine, redis_url: str, tmp_path: Path) -> None:
    assert main(["enroll", "web-1"]) == 0
    with reading(server) as connection:
        (other,) = enrolled_hosts(connection)
    with redis.Redis.from_url(redis_url) as client:
        client.acl_deluser(keys.redis_user(other.id))
        assert main(["enroll", "web-2", "--key-file", str(tmp_path / "host-key")]) == 0
        assert keys.redis_user(other.id) in client.acl_users()


def test_a_key_that_cannot_be_written_enrolls_nobody(
    server: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enroll", "web-1", "--key-file", str(tmp_path / "nowhere" / "host-key")]) == 1
    assert "host-key cannot be written: No such file or directory" in capsys.readouterr().err
    with reading(server) as connection:
        assert enrolled_hosts(connection) == []


def test_a_host_of_a_server_with_tls_is_told_whom_to_trust(
    server: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = trustme.CA()
    file = authority_file(authority, tmp_path / "our ca.pem")
    parts = urlsplit(redis_url)
    with tls_in_front(parts.port or 0, authority.issue_cert("localhost")) as port:
        url = f"rediss://:{parts.password}@localhost:{port}/0?ssl_ca_certs={quote(str(file))}"
        monkeypatch.setenv("FLEETMEDIC_REDIS_URL", url)
        assert main(["enroll", "web-1"]) == 0
        told = capsys.readouterr().out
        (line,) = [line for line in told.splitlines() if "FLEETMEDIC_HOST_KEY" in line]
        with _as_printed(line) as client:
            assert client.ping()
    assert f"copy {file} to the same place on that machine" in told


def test_a_url_for_the_host_that_would_not_be_verified_is_refused(
    server: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enroll", "web-1", "--redis-url", "rediss://db:6380/0?ssl_cert_reqs=none"]) == 1
    assert "--redis-url: after its '?' only ssl_ca_certs=FILE may stand" in capsys.readouterr().err
