"""docker-compose.yml and what belongs to it, without an engine; tests/system/test_compose.py brings it up."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from cli.ports import free_port
from cli.redis_server import find_redis_server
from cli.redis_users import ensure_redis_users
from wire import keys
from wire.environment import SECRETS

ROOT = Path(__file__).parents[1]
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
LASTING = [name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"]

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Return the mode of each mount of a service by its source."""
    short = [volume.split(":") for volume in service.get("volumes", []) if isinstance(volume, str)]
    return {source: (mode or ["rw"])[0] for source, _, *mode in short}


def test_the_parts_are_those_of_the_architecture() -> None:
    assert LASTING == ["redis", "postgres", "worker", "api", "collector"]
    assert set(SERVICES) - set(LASTING) == {"secrets", "migrate"}


@each_service
def test_no_part_is_root_nor_can_become_it(service: dict[str, Any]) -> None:
    assert service["user"] in ("10001:10001", "postgres")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add"} & set(service)


@each_service
def test_no_secret_is_in_an_environment(service: dict[str, Any]) -> None:
    for name, value in service.get("environment", {}).items():
        assert "@" not in value, f"{name} holds credentials"
        if re.search("PASSWORD|TOKEN|SECRET|KEY", name) or (name in SECRETS and name != "FLEETMEDIC_REDIS_URL"):
            assert name.endswith("_FILE")
            assert value.startswith("/secrets/")


@each_service
def test_every_setting_is_one_that_the_docs_list(service: dict[str, Any]) -> None:
    documented = set(
        re.findall(r"^\| `(FLEETMEDIC_[A-Z_]+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    )
    documented |= {f"{name}_FILE" for name in SECRETS}
    assert {name for name in service.get("environment", {}) if name.startswith("FLEETMEDIC_")} <= documented


def test_a_secret_is_read_by_those_who_need_it_and_written_by_one() -> None:
    access = {
        (volume, name): mode
        for name, service in SERVICES.items()
        for volume, mode in mounts(service).items()
        if volume.endswith("-secret")
    }
    assert {pair for pair, mode in access.items() if mode != "ro"} == {
        ("redis-secret", "secrets"),
        ("postgres-secret", "secrets"),
        ("api-secret", "secrets"),
        ("collector-secret", "migrate"),
    }
    readers = {volume: {name for of, name in access if of == volume} for volume, _ in access}
    assert readers["api-secret"] == {"secrets", "api"}
    assert readers["collector-secret"] == {"migrate", "collector"}
    assert "collector" not in readers["postgres-secret"] | readers["redis-secret"]


def test_only_the_api_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8080:8080"]}
    assert [name for name, service in SERVICES.items() if service.get("network_mode") == "host"] == []


def test_the_host_s_files_can_only_be_read() -> None:
    assert {name: mounts(service)["/"] for name, service in SERVICES.items() if "/" in mounts(service)} == {
        "collector": "ro"
    }


@pytest.mark.parametrize("name", LASTING)
def test_a_part_that_lasts_tells_whether_it_is_healthy(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_nothing_lasting_waits_for_a_part_that_ends() -> None:
    # Podman would not start it again after a crash, since what it waits for does not run any more.
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(LASTING), name


def test_the_image_holds_every_package_and_runs_as_the_user_that_the_parts_have() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= kept
    image = (ROOT / "Dockerfile").read_text()
    assert "useradd --uid 10001 " in image
    assert re.findall(r"^USER (.*)", image, re.MULTILINE) == ["fleetmedic"]


def script(service: str, **paths: Path) -> str:
    """Return the shell script of a service, with other folders instead of its own."""
    text: str = SERVICES[service]["command"][2].replace("$$", "$")
    for name, path in paths.items():
        text = re.sub(rf"(?<![\w.])/{name}\b", str(path), text)
    return text.strip()


def make_secrets(folder: Path) -> dict[str, str]:
    for name in ("redis", "postgres", "api"):
        (folder / name).mkdir(exist_ok=True)
    # The image has a python on its PATH, Debian has none.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-euc", script("secrets", secrets=folder)], env={"PATH": path}, check=True)
    return {str(file.relative_to(folder)): file.read_text().strip() for file in folder.rglob("*") if file.is_file()}


def test_secrets_are_made_once_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    assert set(made) == {"redis/password", "redis/url", "postgres/password", "postgres/url", "api/admin-token"}
    assert made["redis/url"] == f"redis://:{made['redis/password']}@redis:6379/0"
    assert made["postgres/url"] == f"postgresql://fleetmedic:{made['postgres/password']}@postgres/fleetmedic"
    assert len({made[name] for name in ("redis/password", "postgres/password", "api/admin-token")}) == 3
    assert all(len(made[name]) >= 43 for name in ("redis/password", "postgres/password", "api/admin-token"))
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in made}
    assert modes.pop("postgres/password") == 0o640
    assert set(modes.values()) == {0o600}
    assert make_secrets(tmp_path) == made


@contextmanager
def running_redis(folder: Path) -> Iterator[redis.Redis]:
    """Run Redis as its service does, on a port of its own, until it is killed."""
    port = free_port()
    command = script("redis", secrets=folder, data=folder / "data") + f" --port {port} --bind 127.0.0.1"
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    process = subprocess.Popen(["sh", "-euc", command], env={"PATH": path}, stdout=subprocess.DEVNULL)
    password = (folder / "redis/password").read_text().strip()
    try:
        with redis.Redis(port=port, password=password, retry=None) as client:
            wait_until_it_answers(client)
            yield client
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_until_it_answers(client: redis.Redis) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_redis_keeps_its_hosts_and_its_data_when_it_is_killed(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    for folder in ("bin", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin/redis-server").symlink_to(find_redis_server())
    with running_redis(tmp_path) as client:
        assert ensure_redis_users(client, [(7, b"k" * 32)])
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        client.rpush(keys.inbox(0), b"entry")
    with running_redis(tmp_path) as client:
        assert client.lrange(keys.inbox(0), 0, -1) == [b"entry"]
        assert client.acl_users() == ["default", keys.redis_user(7)]
        port = client.connection_pool.connection_kwargs["port"]
        with redis.Redis(port=port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
