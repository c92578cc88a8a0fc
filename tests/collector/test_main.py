"""The collector as a process: it starts without Redis, ends in order, and stays paused over a restart."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from collector.main import main
from collector.push import Pusher
from collector.settings import CollectorSettings
from collector.spool import Spool
from wire import keys
from wire.config import HostConfig, encode_config
from wire.entry import open_entry
from wire.hostkey import format_host_key

# The Redis fixture needs the server's packages.
pytest.importorskip("sqlalchemy")

HOST = 7
KEY = bytes(range(32))
INBOX = keys.inbox(keys.shard_of(HOST))
NOBODY = "redis://127.0.0.1:1/0"
PROGRAM = (
    "import os, sys; from collector.main import main; from collector.settings import CollectorSettings; "
    "sys.exit(main(CollectorSettings.from_environment(os.environ)))"
)


class Running:
    """A collector that runs, and its log."""

    def __init__(self, url: str, folder: Path, log: Path) -> None:
        environment = os.environ | {
            "FLEETMEDIC_REDIS_URL": url,
            "FLEETMEDIC_HOST_KEY": format_host_key(HOST, KEY),
            "FLEETMEDIC_INTERVAL": "1",
            "FLEETMEDIC_DATA_DIR": str(folder),
        }
        self._log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=stderr)

    def log(self) -> str:
        return self._log.read_text()

    def end(self) -> str:
        """End it as a service manager does, and return what it logged."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log()
        return self.log()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


Start = Callable[[str], Running]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts collectors that share one data folder."""
    started: list[Running] = []

    def start(url: str) -> Running:
        started.append(Running(url, folder, tmp_path / f"log-{len(started)}"))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def records(folder: Path) -> int:
    """The bytes of all records in the spool."""
    return sum(path.stat().st_size for path in (folder / "collector").glob("*.records"))


def spooled(folder: Path) -> list[int]:
    spool = Spool(folder / "collector", 1 << 26, time.time())
    sequences = [item.sequence for item in spool.read(0, 10**6, 10**9)]
    spool.close()
    return sequences


def test_it_pushes_from_the_first_second_and_ends_in_order(start: Start, client: redis.Redis, redis_url: str) -> None:
    collector = start(redis_url)
    until(lambda: client.llen(INBOX) >= 2)
    log = collector.end()
    assert [open_entry(data).sequence for data in client.lrange(INBOX, 0, -1)][:2] == [1, 2]
    assert "host 7: a snapshot every 1 s" in log
    assert "Traceback" not in log


def test_without_redis_it_collects_into_the_spool_and_says_so_once(start: Start, folder: Path) -> None:
    collector = start(NOBODY)
    until(lambda: records(folder))
    first = records(folder)
    until(lambda: records(folder) > 2 * first)
    assert collector.end().count("does not answer") == 1
    assert spooled(folder)[:2] == [1, 2]


def test_what_a_killed_collector_spooled_is_pushed_by_the_next(
    start: Start, client: redis.Redis, redis_url: str, folder: Path
) -> None:
    killed = start(NOBODY)
    until(lambda: records(folder))
    killed.kill()
    again = start(redis_url)
    until(lambda: client.llen(INBOX) >= 2)
    again.end()
    entries = [open_entry(data) for data in client.lrange(INBOX, 0, -1)]
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert len({entry.incarnation for entry in entries}) == 1


def test_a_cut_connection_is_made_anew_and_loses_nothing(start: Start, client: redis.Redis, redis_url: str) -> None:
    collector = start(redis_url)
    until(lambda: client.llen(INBOX))
    client.delete(INBOX)
    client.client_kill_filter(_type="normal", skipme=True)
    until(lambda: client.llen(INBOX) >= 2)
    log = collector.end()
    assert open_entry(client.lindex(INBOX, 0)).sequence == 1
    assert "does not answer: the connection was closed" in log
    assert "answers again" in log


def test_a_paused_host_stays_paused_over_a_restart_without_redis(
    start: Start, client: redis.Redis, redis_url: str, folder: Path
) -> None:
    client.set(keys.config(HOST), encode_config(HostConfig(paused=True)))
    first = start(redis_url)
    until(lambda: "paused by the server" in first.log())
    first.end()
    before = spooled(folder)
    again = start(NOBODY)
    until(lambda: "does not answer" in again.log())
    again.end()
    assert spooled(folder) == before
    assert client.llen(INBOX) == 0


def test_a_resumed_host_goes_on(start: Start, client: redis.Redis, redis_url: str) -> None:
    client.set(keys.config(HOST), encode_config(HostConfig(paused=True)))
    collector = start(redis_url)
    until(lambda: "paused by the server" in collector.log())
    client.set(keys.config(HOST), encode_config(HostConfig()))
    until(lambda: client.llen(INBOX) >= 2)
    assert "resumed by the server" in collector.end()


def test_a_second_collector_in_the_same_folder_names_the_first(start: Start, folder: Path) -> None:
    first = start(NOBODY)
    until(lambda: (folder / "collector" / "intact").exists())
    second = start(NOBODY)
    assert second.process.wait(20) == 1
    assert f"in use by another collector (pid {first.process.pid})" in second.log()


def test_a_data_folder_that_cannot_be_used_is_named(start: Start, folder: Path) -> None:
    folder.write_text("a file is in the way")
    collector = start(NOBODY)
    assert collector.process.wait(20) == 1
    assert "the data folder cannot be used (FLEETMEDIC_DATA_DIR chooses another)" in collector.log()
    assert str(folder) in collector.log()


def test_a_url_that_is_none_is_named(start: Start) -> None:
    collector = start("http://example.org")
    assert collector.process.wait(20) == 2
    assert "FLEETMEDIC_REDIS_URL cannot be used" in collector.log()


def test_a_pusher_that_fails_ends_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Pusher, on_config: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pusher, "run", fail)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    settings = CollectorSettings.from_environment(
        {"FLEETMEDIC_HOST_KEY": format_host_key(HOST, KEY), "FLEETMEDIC_DATA_DIR": str(tmp_path)}
    )
    try:
        assert main(settings) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
