import time
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from cli.main import main
from store.engine import writing
from store.leases import claim
from wire.keys import TASK_SWEEP
from worker.listener import DUTIES


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, engine: Engine, redis_url: str, tmp_path: Path) -> Engine:
    """A server that lacks nothing but a worker."""
    monkeypatch.setenv("FLEETMEDIC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FLEETMEDIC_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FLEETMEDIC_REDIS_URL", redis_url)
    return engine


@pytest.fixture
def healthy(server: Engine) -> None:
    """A server that lacks nothing."""
    _work(server, time.time())


def _work(engine: Engine, at: float) -> None:
    """Leave the traces of a worker."""
    with writing(engine) as connection:
        claim(connection, TASK_SWEEP, at, DUTIES[TASK_SWEEP])


def _verdicts(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what doctor says of each check."""
    return {line[:12].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}


def test_on_a_healthy_server_every_check_is_ok(healthy: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    verdicts = _verdicts(capsys)
    assert list(verdicts) == ["python", "sqlite", "data folder", "redis", "clock", "database", "worker"]
    assert all(verdict.startswith("ok ") for verdict in verdicts.values())


@pytest.mark.parametrize(
    ("variable", "value", "check", "remedy"),
    [
        ("FLEETMEDIC_REDIS_URL", "redis://:secret@127.0.0.1:9/0", "redis", "start `fleetmedic up`"),
        ("FLEETMEDIC_DATABASE_URL", "sqlite:////nowhere/fleetmedic.db", "database", "run `fleetmedic db upgrade`"),
        ("FLEETMEDIC_DATABASE_URL", "postgresql://x:secret@127.0.0.1:9/f", "database", "postgresql+psycopg://x:***@"),
        ("FLEETMEDIC_DATA_DIR", "/dev/null/x", "data folder", "set FLEETMEDIC_DATA_DIR"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    healthy: None,
    variable: str,
    value: str,
    check: str,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["doctor"]) == 1
    verdicts = _verdicts(capsys)
    assert verdicts[check].startswith("FAILED")
    assert remedy in verdicts[check]
    assert "secret" not in verdicts[check]


@pytest.mark.parametrize(
    ("idle_seconds", "told"), [(None, "none was at work ever"), (300.0, "none was at work for 30")]
)
def test_a_server_without_a_worker_is_told(
    idle_seconds: float | None, told: str, server: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    if idle_seconds is not None:
        _work(server, time.time() - idle_seconds)
    assert main(["doctor"]) == 1
    verdicts = _verdicts(capsys)
    assert told in verdicts["worker"]
    assert [check for check, verdict in verdicts.items() if verdict.startswith("FAILED")] == ["worker"]


def test_a_redis_that_soon_has_no_connection_left_is_told(
    healthy: None, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        usual = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", client.info("clients")["connected_clients"] + 1)
        try:
            assert main(["doctor"]) == 1
        finally:
            client.config_set("maxclients", usual)
    assert "raise its maxclients" in _verdicts(capsys)["redis"]
