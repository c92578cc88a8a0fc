"""The page in a real browser, served by a real API, with hosts in a real database and a worker beside it."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Page, StorageState
from sqlalchemy import Engine, insert, update

import migrations
from api.queue import Queue
from cli.ports import free_port
from cli.redis_server import start_redis
from cli.sign_in import sign_in_link
from store import own_remedies, remedies, scripts
from store.engine import connect, reading, writing
from store.schema import host_state, snapshots
from store.schema import scripts as script_jobs
from store.scripts import Script
from tests.api.conftest import Rows
from tests.browser import Browsers
from tests.core import packed
from tests.system.all_in_one import wait_until
from tests.system.processes import Part
from wire.keys import CHANGES, QUEUE_SCRIPTS, TASK_RENDER
from wire.snapshot import Details, Filesystem, Process

TOKEN = "a token for tests"
INTERVAL_SECONDS = 30.0
MEBIBYTE = 2.0**20
GIBIBYTE = 2.0**30


@dataclass
class Served:
    """A running API with its worker, Redis and database."""

    url: str
    engine: Engine
    redis: "redis.Redis"
    queue: Queue
    folder: Path
    rows: Rows
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def link(self) -> str:
        """Return a link that signs one browser in."""
        with writing(self.engine) as connection:
            return sign_in_link(connection, self.url, time.time())

    def address(self, host: str) -> str:
        """Return the address of the page on a host, or on all by ``*``."""
        return f"{self.url}/monitoring-dashboard#host={host}"

    def host(
        self, seconds_ago: float = 0.0, hours: float = 0.0, details: Details | None = None, **metrics: Any
    ) -> "Host":
        """Add a host that was last seen so long ago, with so much history."""
        now = time.time() - seconds_ago
        name = f"host-{next(self._numbers)}"
        host_id = self.rows.host(name)
        count = max(1, int(hours * 3600 / INTERVAL_SECONDS))
        values = METRICS | metrics
        times = [now - INTERVAL_SECONDS * age for age in range(count)]
        with writing(self.engine) as connection:
            connection.execute(
                insert(snapshots),
                [
                    {
                        "host_id": host_id,
                        "incarnation": 1,
                        "sequence": count - age,
                        "received_at": at,
                        "taken_at": at,
                        "interval_seconds": INTERVAL_SECONDS,
                        "core": packed(
                            **{name: value(age) if callable(value) else value for name, value in values.items()}
                        ),
                    }
                    for age, at in enumerate(times)
                ],
            )
            state = {"received_at": now, "taken_at": now, "interval_seconds": INTERVAL_SECONDS}
            connection.execute(update(host_state).where(host_state.c.host_id == host_id).values(state))
        self.rows.details(host_id, details or DETAILS, now)
        return Host(self, host_id, name)

    def make_script(self, host: "Host", event_id: int, issue_type: str) -> None:
        """Have the worker write the script of an event, as a drain that opens one does."""
        row = {
            "issue_type": issue_type,
            "script_type": "bash",
            "host_id": host.id,
            "event_id": event_id,
            "automatic": True,
            "given": {},
            "state": "queued",
            "requested_at": time.time(),
            "rung_at": time.time(),
        }
        with writing(self.engine) as connection:
            script_id = connection.execute(insert(script_jobs).returning(script_jobs.c.id), row).scalar_one()
        self.queue.send(QUEUE_SCRIPTS, TASK_RENDER, [[script_id]])
        wait_until(lambda: self.scripts(host)[0].state == "ready", lambda: str(self.scripts(host)))

    def scripts(self, host: "Host") -> list[Script]:
        """Return the scripts of a host with their text, the newest first."""
        with reading(self.engine) as connection:
            found = [scripts.find(connection, one.id) for one in scripts.page(connection, limit=10, host_id=host.id)]
        return [script for script in found if script]

    def own_remedies(self) -> list[Path]:
        """Return the folders of the remedies that users added, as the worker published them, good and bad."""
        with reading(self.engine) as connection:
            good = [remedy.source for remedy, _ in remedies.own(connection).values()]
            bad = [fault.folder for fault in own_remedies.faults(connection)]
        return [Path(folder) for folder in (*good, *bad)]

    def open_streams(self) -> int:
        """Return how many streams of changes the API holds open."""
        ((_, count),) = self.redis.pubsub_numsub(CHANGES)
        return int(count)

    def announce(self, change: str) -> None:
        """Tell live pages of a change, as a worker would."""
        self.redis.publish(CHANGES, change)


@dataclass
class Host:
    """A host in the database."""

    served: Served
    id: int
    name: str

    def event(self, type: str = "cpu_high", minutes_ago: float = 2.0, **columns: Any) -> int:  # noqa: A002
        """Put an event of this host into the database."""
        at = time.time() - 60 * minutes_ago
        return self.served.rows.event(self.id, type, at, **columns)


METRICS: dict[str, float | None] = {
    "cpu_percent": 34.4,
    "cpu_user_percent": 20.0,
    "cpu_system_percent": 14.4,
    "cpu_iowait_percent": 1.0,
    "load_1": 0.7,
    "load_5": 0.6,
    "load_15": 0.5,
    "memory_percent": 41.0,
    "memory_total_bytes": 8 * GIBIBYTE,
    "memory_used_bytes": 3.3 * GIBIBYTE,
    "swap_percent": 2.0,
    "disk_percent": 61.0,
    "disk_busy_percent": 4.0,
    "disk_read_bytes_per_second": 2 * MEBIBYTE,
    "disk_write_bytes_per_second": 1 * MEBIBYTE,
    "network_receive_bytes_per_second": 300_000.0,
    "network_transmit_bytes_per_second": 120_000.0,
    "processes": 212.0,
    "threads": 890.0,
    "uptime_seconds": 400_000.0,
}
PROCESSES = tuple(
    Process(4000 + n, 1.7e9 + n, name, "www", cpu, memory, memory * 8e7, f"/usr/bin/{name} --serve")
    for n, (name, cpu, memory) in enumerate([("nginx", 12.0, 2.0), ("postgres", 8.0, 11.0), ("python3", 42.0, 5.0)])
)
DETAILS = Details(
    filesystems=(Filesystem("/", "/dev/vda1", "ext4", 80 * GIBIBYTE, 48.8 * GIBIBYTE, 61.0),),
    processes_by_cpu=PROCESSES,
    processes_by_memory=PROCESSES,
    cpu_count=4,
    platform="linux",
    os_name="Debian GNU/Linux 12",
    hostname="host",
)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of the page; each test has hosts of its own."""
    with running_server(tmp_path_factory.mktemp("served")) as served:
        yield served


@contextmanager
def running_server(folder: Path) -> Iterator[Served]:
    """Run Redis, a worker and the API on a new database until the block ends."""
    (folder / "redis").mkdir()
    server = start_redis(folder / "redis", secrets.token_hex(8), "127.0.0.1", free_port(), append_only=False)
    database = f"sqlite:///{folder / 'fleetmedic.db'}"
    engine = connect(database)
    migrations.upgrade(engine)
    environment = {
        "FLEETMEDIC_DATA_DIR": str(folder),
        "FLEETMEDIC_DATABASE_URL": database,
        "FLEETMEDIC_REDIS_URL": server.url,
        "FLEETMEDIC_ADMIN_TOKEN": TOKEN,
    }
    port = free_port()
    api = Part(folder / "api.log", "api", "--port", str(port), **environment)
    worker = Part(folder / "worker.log", "worker", **environment)
    client = redis.Redis.from_url(server.url)
    try:
        api.wait_until_said("listening on")
        yield Served(f"http://127.0.0.1:{port}", engine, client, Queue(server.url), folder, Rows(engine))
    finally:
        client.close()
        for part in (api, worker):
            part.process.terminate()
        for part in (api, worker):
            part.process.wait(20)
        engine.dispose()
        server.process.kill()
        server.process.wait()


class Complaints(list[str]):
    """What a page should not have said: errors on its console, exceptions, dialogs."""

    def listen(self, page: Page) -> None:
        page.on("console", lambda message: self.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("dialog", lambda dialog: self.append(dialog.message))


@pytest.fixture(scope="session")
def heard() -> Complaints:
    return Complaints()


@pytest.fixture
def complaints(heard: Complaints) -> Iterator[Complaints]:
    """Whatever pages complain of; a test that does not empty it fails when there is anything."""
    heard.clear()
    yield heard
    assert heard == []


@pytest.fixture(scope="session")
def cookies(served: Served, browsers: Browsers) -> StorageState:
    """What a browser keeps that was signed in by a link."""
    page = browsers.new_page()
    page.goto(served.link())
    page.get_by_role("button", name="Sign out").wait_for()
    return page.context.storage_state()


OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def shared_page(browsers: Browsers, cookies: StorageState, heard: Complaints) -> Page:
    page = browsers.new_page(storage_state=cookies)
    heard.listen(page)
    return page


@pytest.fixture
def open_page(served: Served, shared_page: Page, complaints: Complaints) -> Iterator[OpenPage]:
    """Shows a host, or all, in the page that the tests share: a load of it is most of what a test takes."""

    def show(host: Host | None = None) -> Page:
        return _show(shared_page, served, host)

    yield show
    if shared_page.get_by_role("dialog").count():
        shared_page.keyboard.press("Escape")


@pytest.fixture
def new_page(served: Served, browsers: Browsers, cookies: StorageState, complaints: Complaints) -> Iterator[OpenPage]:
    """Opens pages, each in a browser of its own, that are signed in and show a host, or all."""
    opened: list[Page] = []

    def make(host: Host | None = None, **options: Any) -> Page:
        page = browsers.new_page(storage_state=cookies, **options)
        opened.append(page)
        complaints.listen(page)
        return _show(page, served, host)

    yield make
    for page in opened:
        page.context.close()


def _show(page: Page, served: Served, host: Host | None) -> Page:
    page.goto(served.address(host.name if host else "*"))
    page.get_by_role("heading", name=host.name if host else "All hosts", exact=True).wait_for()
    return page
