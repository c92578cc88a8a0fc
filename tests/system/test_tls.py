"""A server whose Redis is reached by TLS only: worker, API, commands and collector have a URL and nothing else."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from sqlalchemy import Engine

from api.queue import Queue, QueueDown
from cli.ports import free_port
from tests.system.all_in_one import CLEAN, FLEETMEDIC, wait_until
from tests.system.processes import running
from tests.tls import authority_file, tls_in_front
from wire import keys

TOKEN = "token"
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass(frozen=True)
class TlsRedis:
    """A Redis behind TLS."""

    password: str
    port: int
    authorities: Path

    def url(self, authorities: Path | None = None) -> str:
        return f"rediss://:{self.password}@localhost:{self.port}/0?ssl_ca_certs={authorities or self.authorities}"


@pytest.fixture
def tls_redis(redis_url: str, tmp_path: Path) -> Iterator[TlsRedis]:
    authority = trustme.CA()
    file = authority_file(authority, tmp_path / "ca.pem")
    parts = urlsplit(redis_url)
    with tls_in_front(parts.port or 0, authority.issue_cert("localhost")) as port:
        yield TlsRedis(parts.password or "", port, file)


@pytest.fixture
def settings(tls_redis: TlsRedis, database_url: str, engine: Engine, tmp_path: Path) -> dict[str, str]:
    return {
        "FLEETMEDIC_REDIS_URL": tls_redis.url(),
        "FLEETMEDIC_DATABASE_URL": database_url,
        "FLEETMEDIC_DATA_DIR": str(tmp_path / "server"),
        "FLEETMEDIC_ADMIN_TOKEN": TOKEN,
    }


def ask(port: int, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return dict(json.load(response))


@on_one_database
def test_a_snapshot_and_a_script_go_through_tls(settings: dict[str, str], tls_redis: TlsRedis, tmp_path: Path) -> None:
    enroll = [*FLEETMEDIC, "enroll", "web-1", "--interval", "1", "--json"]
    enrolled = json.loads(subprocess.run(enroll, env=CLEAN | settings, capture_output=True, check=True).stdout)
    assert tls_redis.password not in enrolled["redis_url"]
    host = {
        "FLEETMEDIC_REDIS_URL": enrolled["redis_url"],
        "FLEETMEDIC_HOST_KEY": enrolled["host_key"],
        "FLEETMEDIC_DATA_DIR": str(tmp_path / "host"),
        "FLEETMEDIC_INTERVAL": "1",
    }
    port = free_port()
    with ExitStack() as stack:
        worker = stack.enter_context(running(tmp_path / "worker.log", "worker", "--concurrency", "1", **settings))
        api = stack.enter_context(running(tmp_path / "api.log", "api", "--port", str(port), **settings))
        collector = stack.enter_context(running(tmp_path / "collector.log", "collector", **host))

        def told() -> str:
            return worker.said() + api.said() + collector.said()

        api.wait_until_said("listening on")
        wait_until(lambda: bool(ask(port, "/api/v1/hosts/web-1")["last_seen"]), told)
        script = ask(port, "/api/agent/generate-script", {"issue_type": "disk_full", "parameters": {"mount": "/"}})
        assert script["sha256"], told()


@on_one_database
def test_a_worker_and_the_api_trust_no_other_authority(
    settings: dict[str, str], tls_redis: TlsRedis, tmp_path: Path
) -> None:
    stranger = tls_redis.url(authority_file(trustme.CA(), tmp_path / "other.pem"))
    with running(tmp_path / "worker.log", "worker", **settings | {"FLEETMEDIC_REDIS_URL": stranger}) as worker:
        worker.wait_until_said("certificate verify failed")
    with pytest.raises(QueueDown, match="certificate verify failed"):
        Queue(stranger).send(keys.QUEUE_INGEST, keys.TASK_SWEEP, [])


def test_the_broker_is_verified_by_the_systems_authorities_where_no_file_is_named(
    tls_redis: TlsRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tls_redis.url().partition("?")[0]
    with pytest.raises(QueueDown, match="certificate verify failed"):
        Queue(url).send(keys.QUEUE_INGEST, keys.TASK_SWEEP, [])
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_redis.authorities))
    Queue(url).send(keys.QUEUE_INGEST, keys.TASK_SWEEP, [])
