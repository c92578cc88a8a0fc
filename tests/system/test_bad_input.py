"""Bad input to a running server: each gets a clear answer or a reason, and the good beside it is all there."""

import json
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import redis
from sqlalchemy import Engine, select

from store.engine import connect, reading, writing
from store.enrollment import enroll
from store.schema import dead_letters, host_state, snapshots
from tests.core import unpacked
from tests.system.all_in_one import Up, running_up, wait_until
from tests.worker.conftest import SimulatedHost
from wire import keys
from wire.entry import GAP, seal
from wire.hostkey import parse_host_key
from wire.metrics import INDEX, pack_core
from wire.snapshot import (
    SNAPSHOT_VERSION,
    Details,
    Filesystem,
    Gap,
    Process,
    Snapshot,
    encode_details,
    encode_gap,
    encode_snapshot,
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data") as up:
        yield up


@pytest.fixture(scope="module")
def engine(up: Up) -> Iterator[Engine]:
    engine = connect(up.server()["database_url"])
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def admin(up: Up) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(up.server()["redis_url"]) as client:
        yield client


@pytest.fixture(scope="module")
def enrolled(up: Up) -> Iterator[Callable[[str], SimulatedHost]]:
    """Enroll a host; it pushes as the Redis user that it was given."""
    clients: list[redis.Redis] = []

    def enroll_host(name: str) -> SimulatedHost:
        answer = json.loads(up.run("enroll", name, "--json"))
        host_id, key = parse_host_key(answer["host_key"])
        client = redis.Redis.from_url(
            answer["redis_url"], username=keys.redis_user(host_id), password=keys.redis_password(key)
        )
        clients.append(client)
        return SimulatedHost(host_id, key, client)

    yield enroll_host
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def good(enrolled: Callable[[str], SimulatedHost]) -> SimulatedHost:
    return enrolled("good")


@pytest.fixture(scope="module")
def bad(enrolled: Callable[[str], SimulatedHost]) -> SimulatedHost:
    return enrolled("bad")


def report(host: SimulatedHost, **metrics: float) -> None:
    """Take a snapshot, push it, and wait until the server acknowledges it."""
    host.report(time.time(), **metrics)
    wait_for_acknowledgement(host)


def wait_for_acknowledgement(host: SimulatedHost) -> None:
    expected = keys.format_ack(host.incarnation, host.sequence)
    wait_until(lambda: host.client.get(keys.ack(host.id)) == expected, lambda: f"{expected!r} is not acknowledged")


def stored(engine: Engine, host: SimulatedHost) -> list[int]:
    """Return the sequence numbers that are stored of a host, in order."""
    with reading(engine) as connection:
        query = select(snapshots.c.sequence).where(snapshots.c.host_id == host.id).order_by(snapshots.c.sequence)
        return list(connection.scalars(query))


def last_row(engine: Engine, host: SimulatedHost) -> Any:
    with reading(engine) as connection:
        return connection.execute(
            select(snapshots).where(snapshots.c.host_id == host.id, snapshots.c.sequence == host.sequence)
        ).one()


def reasons(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.scalars(select(dead_letters.c.reason).order_by(dead_letters.c.id)))


# What comes to the API


MALFORMED = [b"{", b'{"host": "good"', b"\xff\xfe", b'{"host": "good"} and more', b"host=good"]


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_json_is_a_problem_that_says_so_and_changes_nothing(up: Up, good: SimulatedHost, body: bytes) -> None:
    status, problem = up.ask("/api/agent/monitor/stop", body)
    assert (status, problem["status"], problem["title"]) == (400, 400, "Bad Request")
    assert problem["detail"].startswith("the body is not JSON: ")
    assert up.ask("/api/v1/hosts/good")[1]["monitoring"]


def test_requests_that_are_none_or_end_halfway_do_not_keep_the_api_from_the_others(up: Up, good: SimulatedHost) -> None:
    server = up.server()
    token = server["admin_token"]
    address = urlsplit(server["api_url"])
    stop = f"POST /api/agent/monitor/stop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    halves = [
        b"\x16\x03\x01 is not HTTP\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        (stop + 'Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"host": "good"').encode(),
        (stop + "Content-Length: -1\r\n\r\n").encode(),
        (stop + f"X: {'x' * 100_000}\r\n\r\n").encode(),
    ]
    for half in halves:
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(half)
            connection.shutdown(socket.SHUT_WR)
            # Until the server is through with it.
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
            assert not answer.startswith(b"HTTP/1.1 2")
    status, host = up.ask("/api/v1/hosts/good")
    assert (status, host["monitoring"]) == (200, True)


# What comes to the inboxes


def forged(bad: SimulatedHost) -> bytes:
    return replace(bad, key=b"x" * 32).snapshot(time.time())


def of_an_unknown_host(bad: SimulatedHost) -> bytes:
    return replace(bad, id=10**9).snapshot(time.time())


def flipped(bad: SimulatedHost) -> bytes:
    data = bytearray(replace(bad).snapshot(time.time()))
    data[60] ^= 1
    return bytes(data)


def cut_entry(bad: SimulatedHost) -> bytes:
    return replace(bad).snapshot(time.time())[:100]


def signed(bad: SimulatedHost, body: bytes, kind: int = 0) -> bytes:
    """Seal any body as the next entry of the host."""
    bad.sequence += 1
    return seal(bad.key, bad.id, bad.incarnation, bad.sequence, time.time(), body, kind)


def cut_body(bad: SimulatedHost) -> bytes:
    return signed(bad, encode_snapshot(Snapshot(SNAPSHOT_VERSION, time.time(), 1.0, pack_core({})))[:50])


def future_version(bad: SimulatedHost) -> bytes:
    return signed(bad, encode_snapshot(Snapshot(99, time.time(), 1.0, pack_core({}))))


def backward_gap(bad: SimulatedHost) -> bytes:
    return signed(bad, encode_gap(Gap(9, 3, "disk full")), GAP)


def foreign_details(bad: SimulatedHost) -> bytes:
    details = msgspec.Raw(msgspec.msgpack.encode(["no", "details"]))
    core = pack_core({"disk_percent": 99.0})
    return signed(bad, encode_snapshot(Snapshot(SNAPSHOT_VERSION, time.time(), 1.0, core, details)))


BAD_ENTRIES: list[tuple[Callable[[SimulatedHost], bytes], str]] = [
    # the entry, and how the reason on its dead letter begins
    (forged, "wrong signature"),
    (flipped, "wrong signature"),
    (of_an_unknown_host, "unknown host"),
    (lambda _: b"\xc1 rubbish", "entry: "),
    (lambda _: b"", "entry: "),
    (cut_entry, "entry: Input data was truncated"),
    (cut_body, "snapshot: Input data was truncated"),
    (future_version, "snapshot of version 99"),
    (backward_gap, "gap from 9 to 3"),
    (foreign_details, "details: "),
]


@pytest.mark.parametrize(("make", "reason"), BAD_ENTRIES)
def test_a_bad_entry_gets_its_reason_and_the_snapshots_around_it_are_stored(
    engine: Engine, good: SimulatedHost, bad: SimulatedHost, make: Callable[[SimulatedHost], bytes], reason: str
) -> None:
    before = len(reasons(engine))
    report(good)
    bad.push(make(bad))
    report(good)
    # Whatever it pushed, the host itself goes on.
    report(bad)
    (told,) = reasons(engine)[before:]
    assert told.startswith(reason)
    assert stored(engine, good) == list(range(1, good.sequence + 1))


def test_a_poisoned_entry_in_every_inbox_stops_none(engine: Engine, admin: "redis.Redis") -> None:
    by_shard: dict[int, SimulatedHost] = {}
    with writing(engine) as connection:
        while len(by_shard) < keys.SHARDS:
            host = enroll(connection, f"host-{time.monotonic_ns()}", now=time.time())
            by_shard[keys.shard_of(host.id)] = SimulatedHost(host.id, host.key, admin)
    before = len(reasons(engine))
    for shard in by_shard:
        admin.rpush(keys.inbox(shard), b"\xc1 poison")
    for host in by_shard.values():
        host.report(time.time())
    for host in by_shard.values():
        wait_for_acknowledgement(host)
    assert all(stored(engine, host) == [1] for host in by_shard.values())
    assert len(reasons(engine)) == before + keys.SHARDS


IMPOSSIBLE = [math.inf, -math.inf, -1.0, 400.0, 3.4e38]


@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_an_impossible_value_is_stored_as_missing_and_counted_beside_the_good_ones(
    up: Up, engine: Engine, bad: SimulatedHost, value: float
) -> None:
    def impossible() -> int:
        with reading(engine) as connection:
            query = select(host_state.c.impossible_values).where(host_state.c.host_id == bad.id)
            return connection.scalar(query) or 0

    before = impossible()
    core = bytearray(pack_core({"memory_percent": 42.0}))
    struct.pack_into("<f", core, 4 * INDEX["cpu_percent"], value)
    bad.push(signed(bad, encode_snapshot(Snapshot(SNAPSHOT_VERSION, time.time(), 1.0, bytes(core)))))
    wait_for_acknowledgement(bad)
    row = last_row(engine, bad)
    stored = unpacked(row.core)
    assert (stored["cpu_percent"], stored["memory_percent"]) == (None, 42.0)
    _, host = up.ask("/api/v1/hosts/bad")
    assert (host["metrics"]["cpu_percent"], host["metrics"]["memory_percent"]) == (None, 42.0)
    assert impossible() == before + 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_an_impossible_number_outside_the_metrics_harms_nothing(
    up: Up, engine: Engine, bad: SimulatedHost, value: float
) -> None:
    details = Details(
        filesystems=(Filesystem("/data\0\x1b[2J", "/dev/x", "ext4", value, value, value, value),),
        processes_by_cpu=(Process(1, value, "x\0", "root", value, value, value),),
    )
    core = pack_core({"disk_percent": 99.0, "cpu_percent": 10.0})
    snapshot = Snapshot(SNAPSHOT_VERSION, value, value, core, encode_details(details))
    bad.push(signed(bad, encode_snapshot(snapshot)))
    wait_for_acknowledgement(bad)
    row = last_row(engine, bad)
    assert row.taken_at == pytest.approx(row.received_at, abs=5)
    assert row.interval_seconds == 30.0
    assert up.ask("/api/v1/hosts/bad")[0] == 200
    assert up.ask("/api/v1/hosts/bad/processes")[0] == 200
    assert up.events("host=bad") == []


def test_a_host_whose_clock_is_an_hour_ahead_is_stored_at_the_servers_time_without_an_event(
    up: Up, engine: Engine, enrolled: Callable[[str], SimulatedHost]
) -> None:
    ahead = enrolled("ahead")
    for _ in range(3):
        ahead.report(time.time() + 3600)
        wait_for_acknowledgement(ahead)
        assert last_row(engine, ahead).taken_at == pytest.approx(time.time(), abs=10)
    assert up.events("host=ahead") == []
    assert up.ask("/api/v1/hosts/ahead")[1]["health"] == "healthy"
