"""The parts that the faults are done to: Redis, Postgres, workers, machines full of hosts, proxies between them."""

import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import redis
from sqlalchemy import Engine

import migrations
from cli.bench.faults.board import Board
from cli.bench.faults.life import INTERVAL_SECONDS
from cli.bench.faults.machine import READING_SECONDS, HostOrders, Orders
from cli.bench.faults.postgres import Postgres
from cli.bench.faults.programs import Program
from cli.bench.faults.proxy import Proxy
from cli.bench.faults.small_disk import CannotMount, SmallDisk
from cli.bench.faults.witness import Witness
from cli.ports import free_port
from cli.private_files import write_private
from cli.redis_server import redis_url, start_redis
from cli.redis_users import ensure_redis_users
from store.benchmark import enroll_simulated
from store.engine import connect, writing
from store.enrollment import EnrolledHost, enrolled_hosts
from store.monitoring import set_paused
from wire import keys

MACHINES = 3
HOSTS = 24
"""Of all machines together."""
WORKERS = 2
_CHILDREN = 2
_BATCH_ENTRIES = 40
"""So few that there are many drains to be caught in."""
_ENROLLED = 800
"""So many that every shard has some that push nothing but poison."""
_CROOKS = 2
"""Of each shard."""
_SPOOL_BYTES = 4 * 1024 * 1024
_TIGHT_SPOOL_BYTES = 8 * 1024
"""About three seconds: an outage makes it overflow."""
_DISK_BYTES = 1024**3
_SLACK_SECONDS = 900.0
_RETENTION_HOURS = 10_000


class RedisPart:
    """A Redis set up as ``up`` has it, that can be killed."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self._folder = folder
        self._password = secrets.token_hex(16)
        self.port = free_port()
        self.url = redis_url(self._password, self.port)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = start_redis(self._folder, self._password, "127.0.0.1", self.port).process

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def wipe(self) -> None:
        """Delete the append-only file; the users have a file of their own and stay."""
        shutil.rmtree(self._folder / "appendonlydir")

    def url_by(self, proxy: Proxy) -> str:
        """Return the administrator's URL by way of a proxy."""
        return redis_url(self._password, proxy.port)


@dataclass(frozen=True)
class Host:
    """A simulated host."""

    id: int
    machine: int
    ledger: Path
    is_tight: bool
    """Whether its spool is so small that it overflows in an outage."""


@dataclass(frozen=True)
class Site:
    """All parts, running."""

    redis_server: RedisPart
    client: "redis.Redis"
    """The administrator's, not by way of a proxy."""
    postgres: Postgres
    engine: Engine
    workers: Sequence[Program]
    machines: Sequence[Program]
    collector_proxy: Proxy
    worker_proxy: Proxy
    witness: Witness
    board: Board
    hosts: Sequence[Host]
    """By their place on the board."""
    crooks: Mapping[int, Sequence[EnrolledHost]]
    """Hosts by shard that push poison only."""
    spool_disk: SmallDisk | None
    database_disk: SmallDisk | None
    cannot_mount: str
    """Why there are no disks that can be full; empty where there are."""

    def look_after(self) -> None:
        """Start workers again that ended by themselves, as a supervisor would; raise CommandFailed for a machine."""
        for worker in self.workers:
            worker.start_again_if_ended()
        for machine in self.machines:
            machine.check_running()


@contextmanager
def running_site(
    folder: Path, seconds: float, worker_command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Site]:
    """Start all parts; the hosts begin at once, and their simulated time suffices for so many real seconds.

    At the end of the block nothing is left of it. Raises CommandFailed.
    """
    with ExitStack() as stack:
        disks, cannot_mount = _disks(folder, stack)
        postgres = Postgres(folder / "database")
        stack.callback(postgres.stop)
        redis_part = RedisPart(folder / "redis")
        stack.callback(redis_part.kill)
        client = stack.enter_context(redis.Redis.from_url(redis_part.url))
        engine = connect(postgres.url)
        stack.callback(engine.dispose)
        hosts, crooks = _enroll(engine, client)
        witness = Witness()
        collector_proxy = Proxy(redis_part.port, witness.hear)
        worker_proxy = Proxy(redis_part.port)
        for proxy in (collector_proxy, worker_proxy):
            proxy.start()
            stack.callback(proxy.stop)
        settings = {
            **environment,
            "FLEETMEDIC_DATA_DIR": str(folder),
            "FLEETMEDIC_REDIS_URL": redis_part.url_by(worker_proxy),
            "FLEETMEDIC_DATABASE_URL": postgres.url,
            "FLEETMEDIC_BATCH_ENTRIES": str(_BATCH_ENTRIES),
            # Simulated time is long past.
            "FLEETMEDIC_RETENTION_RAW_HOURS": str(_RETENTION_HOURS),
        }
        workers = [
            Program(
                f"worker {number}",
                [*worker_command, "--concurrency", str(_CHILDREN)],
                settings,
                folder / f"worker-{number}.log",
            )
            for number in range(1, WORKERS + 1)
        ]
        (folder / "ledgers").mkdir()
        board = Board(folder / "board", MACHINES, HOSTS)
        first_taken_at = time.time() - (seconds + _SLACK_SECONDS) / READING_SECONDS * INTERVAL_SECONDS
        orders = _orders(folder, hosts, f"redis://127.0.0.1:{collector_proxy.port}/0", first_taken_at)
        machines = []
        for one in orders:
            file = folder / f"machine-{one.machine}.json"
            write_private(file, msgspec.json.encode(one).decode())
            command = [sys.executable, "-m", "cli.bench.faults.machine", str(file)]
            log = folder / f"machine-{one.machine}.log"
            machines.append(Program(f"machine {one.machine}", command, environment, log))
        for program in (*workers, *machines):
            program.start()
            stack.callback(program.kill)
        yield Site(
            redis_part,
            client,
            postgres,
            engine,
            workers,
            machines,
            collector_proxy,
            worker_proxy,
            witness,
            board,
            [
                Host(told.id, one.machine, Path(told.ledger), told.spool_bytes == _TIGHT_SPOOL_BYTES)
                for one in orders
                for told in one.hosts
            ],
            crooks,
            disks.get("spools"),
            disks.get("database"),
            cannot_mount,
        )


def _disks(folder: Path, stack: ExitStack) -> tuple[dict[str, SmallDisk], str]:
    """Make the folders of spools and database, as disks of their own where that is possible."""
    disks: dict[str, SmallDisk] = {}
    reason = ""
    for name in ("spools", "database"):
        try:
            disks[name] = SmallDisk(folder / name, _DISK_BYTES)
            stack.callback(disks[name].unmount)
        except CannotMount as error:
            reason = str(error)
    return disks, reason


def _enroll(engine: Engine, client: "redis.Redis") -> tuple[list[EnrolledHost], dict[int, list[EnrolledHost]]]:
    migrations.upgrade(engine)
    now = time.time()
    with writing(engine) as connection:
        enroll_simulated(connection, _ENROLLED, now)
        hosts, others = enrolled_hosts(connection)[:HOSTS], enrolled_hosts(connection)[HOSTS:]
        # Their silence is no event.
        for other in others:
            set_paused(connection, other.id, True, now)
    ensure_redis_users(client, [(host.id, host.key) for host in hosts])
    crooks: dict[int, list[EnrolledHost]] = {shard: [] for shard in range(keys.SHARDS)}
    for other in others:
        of_shard = crooks[keys.shard_of(other.id)]
        if len(of_shard) < _CROOKS:
            of_shard.append(other)
    return hosts, crooks


def _orders(folder: Path, hosts: Sequence[EnrolledHost], url: str, first_taken_at: float) -> list[Orders]:
    each = len(hosts) // MACHINES
    return [
        Orders(
            machine,
            MACHINES,
            len(hosts),
            str(folder / "board"),
            url,
            first_taken_at,
            [
                HostOrders(
                    place,
                    host.id,
                    host.key,
                    str(folder / "spools" / f"host-{host.id}"),
                    str(folder / "ledgers" / f"host-{host.id}"),
                    _TIGHT_SPOOL_BYTES if place % each == 0 else _SPOOL_BYTES,
                )
                for place, host in list(enumerate(hosts))[machine * each : (machine + 1) * each]
            ],
        )
        for machine in range(MACHINES)
    ]
