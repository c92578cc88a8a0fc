"""The push protocol against a real Redis, with a worker that does what the server's does: commit, then acknowledge."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from collector import push
from collector.desired import DesiredConfig
from collector.link import Link, LinkDown
from collector.push import LEAST_RESEND_SECONDS, WINDOW_ENTRIES, Pusher
from collector.spool import Spool
from wire import keys
from wire.config import HostConfig, encode_config
from wire.entry import GAP, KEY_BYTES, Entry, is_authentic, open_entry
from wire.snapshot import Gap, decode_gap

# The Redis fixture needs the server's packages.
pytest.importorskip("sqlalchemy")

HOST = 7
KEY = bytes(range(KEY_BYTES))
INTERVAL = 5.0
NOW = 1_795_000_000.0
INBOX = keys.inbox(keys.shard_of(HOST))
FULL = keys.full(keys.shard_of(HOST))


class Worker:
    """Takes what is next in line for the host, as the server does, and remembers it."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.position = (0, 0)
        self.bodies: list[int] = []
        self.gaps: list[Gap] = []

    def drain(self) -> None:
        entries = [open_entry(data) for data in self.inbox()]
        self.client.delete(INBOX)
        for entry in entries:
            self.take(entry)
        if entries:
            self.client.set(keys.ack(HOST), keys.format_ack(*self.position))

    def take(self, entry: Entry) -> None:
        incarnation, last = self.position
        expected = last + 1 if entry.incarnation == incarnation else 1
        if entry.incarnation < incarnation:
            return
        if entry.kind == GAP:
            gap = decode_gap(entry.body)
            if gap.first <= expected <= gap.last:
                self.gaps.append(gap)
                self.position = (entry.incarnation, gap.last)
        elif entry.sequence == expected:
            self.bodies.append(int(entry.body))
            self.position = (entry.incarnation, entry.sequence)

    def inbox(self) -> list[bytes]:
        data: list[bytes] = self.client.lrange(INBOX, 0, -1)
        assert all(is_authentic(KEY, one) for one in data)
        return data

    def publish(self, config: HostConfig) -> None:
        self.client.set(keys.config(HOST), encode_config(config))


class Host:
    """A collector's spool and pusher, with a clock that the test moves."""

    def __init__(self, folder: Path, url: str, key: bytes = KEY) -> None:
        self.spool = Spool(folder, 1 << 20, NOW)
        self.desired = DesiredConfig(folder / "config.json")
        self.link = Link(url, HOST, key)
        self.pusher = Pusher(HOST, key, self.link, self.spool, self.desired, INTERVAL)
        self.at = 1000.0
        self.collected = 0

    def collect(self, count: int = 1) -> None:
        for _ in range(count):
            self.collected += 1
            self.spool.append(b"%d" % self.collected, NOW)

    def round_trip(self, after: float = INTERVAL) -> None:
        self.at += after
        self.pusher.round_trip(self.at, NOW + self.at)

    def close(self) -> None:
        self.link.close()
        self.spool.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def worker(client: redis.Redis) -> Worker:
    return Worker(client)


@pytest.fixture
def host(tmp_path: Path, redis_url: str) -> Iterator[Host]:
    host = Host(tmp_path / "collector", redis_url)
    yield host
    host.close()


def run(host: Host, worker: Worker, rounds: int) -> None:
    for _ in range(rounds):
        host.collect()
        host.round_trip()
        worker.drain()


def everything(host: Host) -> list[int]:
    return list(range(1, host.collected + 1))


def test_each_snapshot_takes_one_round_trip_and_is_dropped_when_it_is_acknowledged(host: Host, worker: Worker) -> None:
    run(host, worker, 5)
    assert worker.bodies == everything(host)
    assert host.spool.last - host.spool.acknowledged == 1  # the last one's acknowledgement is seen at the next push
    host.round_trip()
    assert host.spool.last == host.spool.acknowledged


def test_a_flushed_redis_loses_nothing(host: Host, worker: Worker) -> None:
    for _ in range(4):
        run(host, worker, 3)
        host.collect()
        host.round_trip()
        worker.client.flushall()
    run(host, worker, 3)
    assert worker.bodies == everything(host)


def test_entries_that_vanish_while_the_acknowledgement_stays_are_sent_again_after_a_while(
    host: Host, worker: Worker
) -> None:
    run(host, worker, 2)
    host.collect()
    host.round_trip()
    worker.client.delete(INBOX)
    run(host, worker, 6)
    assert worker.bodies == everything(host)


def test_a_new_connection_sends_again_what_was_not_acknowledged(host: Host, worker: Worker) -> None:
    run(host, worker, 2)
    host.collect()
    host.round_trip()
    worker.client.delete(INBOX)
    host.link.close()
    host.round_trip()
    worker.drain()
    assert worker.bodies == everything(host)


def test_the_first_round_trip_of_a_connection_asks_before_it_pushes(
    tmp_path: Path, redis_url: str, worker: Worker
) -> None:
    first = Host(tmp_path / "collector", redis_url)
    run(first, worker, 5)
    first.close()
    again = Host(tmp_path / "collector", redis_url)
    again.collected = first.collected
    again.collect()
    again.round_trip()
    assert [open_entry(data).sequence for data in worker.inbox()] == [6]
    again.close()


def test_without_acknowledgements_only_a_window_is_pushed_and_resent_ever_more_rarely(
    host: Host, worker: Worker
) -> None:
    host.collect(WINDOW_ENTRIES * 2)
    for _ in range(3):
        host.round_trip(0.1)
    assert len(worker.inbox()) == WINDOW_ENTRIES
    an_hour = range(int(3600 / INTERVAL))
    for _ in an_hour:
        host.round_trip()
    resends = len(worker.inbox()) // WINDOW_ENTRIES - 1
    assert 5 <= resends <= 12


def test_a_host_whose_window_is_full_asks_ever_more_rarely(host: Host) -> None:
    host.collect(WINDOW_ENTRIES * 2)
    rests = []
    for _ in range(10):
        host.round_trip(0.1)
        rests.append(host.pusher._rest())
    assert rests[0] < 0.5
    assert rests[-1] == INTERVAL


def test_a_backlog_is_caught_up_window_by_window(host: Host, worker: Worker) -> None:
    host.collect(1000)
    # A window is pushed in one round trip, and acknowledged in the next.
    for _ in range(2 * 4):
        host.round_trip(0.25)
        worker.drain()
    assert worker.bodies == everything(host)


def test_a_full_inbox_gets_nothing_until_it_is_not(host: Host, worker: Worker) -> None:
    worker.client.set(FULL, 1)
    run(host, worker, 3)
    assert worker.bodies == []
    worker.client.delete(FULL)
    run(host, worker, 2)
    assert worker.bodies == everything(host)


def test_into_an_inbox_that_nobody_empties_a_host_pushes_no_more_than_to_look_whether_that_changed(
    host: Host, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "CROWDED_ENTRIES", 3)
    host.collect(5)
    host.round_trip()
    an_hour = range(int(3600 / INTERVAL))
    for _ in an_hour:
        host.collect()
        host.round_trip()
    looks = len(worker.inbox()) - 5
    assert 5 <= looks <= 12
    worker.drain()
    for _ in range(2 * 4):
        host.round_trip()
        worker.drain()
    assert worker.bodies == everything(host)


def test_a_crowded_inbox_that_was_lost_is_filled_again(
    host: Host, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "CROWDED_ENTRIES", 3)
    host.collect(5)
    host.round_trip()
    worker.client.flushall()
    for _ in range(10):
        host.round_trip()
        worker.drain()
    assert worker.bodies == everything(host)


def test_a_paused_host_pushes_nothing_but_hears_when_it_may_go_on(host: Host, worker: Worker) -> None:
    worker.publish(HostConfig(paused=True))
    run(host, worker, 3)
    assert worker.bodies == []
    assert host.desired.config.paused
    worker.publish(HostConfig(paused=False))
    run(host, worker, 2)
    assert worker.bodies == everything(host)


def test_a_config_that_cannot_be_read_changes_nothing(
    host: Host, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.publish(HostConfig(interval_seconds=10))
    run(host, worker, 1)
    worker.client.set(keys.config(HOST), b'{"interval_seconds": "often"}')
    run(host, worker, 3)
    assert host.desired.config.interval_seconds == 10
    assert len([record for record in caplog.records if "config" in record.message]) == 1


def test_the_config_is_remembered_over_a_restart(tmp_path: Path, redis_url: str, worker: Worker) -> None:
    first = Host(tmp_path / "collector", redis_url)
    worker.publish(HostConfig(paused=True, services=("nginx.service",)))
    run(first, worker, 1)
    first.close()
    assert DesiredConfig(tmp_path / "collector" / "config.json").config == HostConfig(
        paused=True, services=("nginx.service",)
    )


@pytest.mark.parametrize("ahead", [(0, 50), (5_000, 1)], ids=["a sequence never sent", "a newer incarnation"])
def test_a_server_that_knows_more_than_we_sent_gets_a_new_incarnation(
    host: Host, worker: Worker, ahead: tuple[int, int]
) -> None:
    run(host, worker, 3)
    later, sequence = ahead
    before = host.spool.incarnation
    worker.position = (before + later, sequence)
    worker.client.set(keys.ack(HOST), keys.format_ack(*worker.position))
    run(host, worker, 4)
    assert host.spool.incarnation > before + later
    assert worker.bodies[3:] == everything(host)[-len(worker.bodies[3:]) :]
    assert worker.bodies[-1] == host.collected


def test_the_server_can_ask_for_a_new_incarnation(host: Host, worker: Worker) -> None:
    run(host, worker, 3)
    wanted = host.spool.incarnation + 10**9
    worker.publish(HostConfig(minimum_incarnation=wanted))
    run(host, worker, 3)
    assert host.spool.incarnation == worker.position[0] >= wanted


def test_new_incarnations_come_once_a_minute_at_most(host: Host, worker: Worker) -> None:
    run(host, worker, 2)
    seen = set()
    for _ in range(8):
        worker.client.set(keys.ack(HOST), keys.format_ack(host.spool.incarnation + 1, 1))
        host.round_trip()
        seen.add(host.spool.incarnation)
    assert len(seen) == 1


def test_a_server_that_lost_its_history_gets_what_is_here_and_a_gap_for_the_rest(host: Host, worker: Worker) -> None:
    host.spool._bound_bytes = 20_000  # files of a few records each, so that something is gone
    run(host, worker, 40)
    worker.position, worker.bodies = (worker.position[0], 3), []
    run(host, worker, 5)
    (gap,) = worker.gaps
    assert gap.first == 4
    assert worker.bodies == list(range(gap.last + 1, host.collected + 1))


def test_an_older_acknowledgement_that_is_soon_corrected_is_no_lost_history(host: Host, worker: Worker) -> None:
    run(host, worker, 5)
    host.round_trip()
    worker.client.set(keys.ack(HOST), keys.format_ack(host.spool.incarnation, 2))
    host.round_trip(LEAST_RESEND_SECONDS / 3)
    host.round_trip(LEAST_RESEND_SECONDS / 3)
    run(host, worker, 3)
    assert (worker.bodies, worker.gaps) == (everything(host), [])


# Rights and refusals


@pytest.fixture
def own_user_url(client: redis.Redis, redis_url: str) -> str:
    """The URL without credentials of a Redis that knows the host's own user, with no right but those it needs."""
    client.acl_setuser(
        keys.redis_user(HOST),
        enabled=True,
        reset=True,
        passwords=[f"+{keys.redis_password(KEY)}"],
        selectors=[
            ("+rpush", f"%W~{INBOX}"),
            ("+get", f"%R~{keys.ack(HOST)} %R~{keys.config(HOST)} %R~{FULL}"),
        ],
    )
    return "redis://" + redis_url.partition("@")[2]


def test_the_host_s_own_user_has_all_the_rights_that_a_collector_needs(
    tmp_path: Path, own_user_url: str, worker: Worker
) -> None:
    host = Host(tmp_path / "collector", own_user_url)
    worker.publish(HostConfig(interval_seconds=10))
    run(host, worker, 3)
    assert worker.bodies == everything(host)
    assert host.desired.config.interval_seconds == 10
    host.close()


def test_a_wrong_key_is_refused_with_what_to_do(tmp_path: Path, own_user_url: str) -> None:
    host = Host(tmp_path / "collector", own_user_url, key=bytes(KEY_BYTES))
    with pytest.raises(LinkDown, match=r"does not let host-7 in .*fleetmedic enroll"):
        host.round_trip()
    host.close()


def test_a_redis_out_of_memory_is_down_and_nothing_is_lost(host: Host, worker: Worker) -> None:
    run(host, worker, 2)
    worker.client.config_set("maxmemory", 1)
    host.collect()
    try:
        with pytest.raises(LinkDown, match="refuses: OOM command not allowed when used memory"):
            host.round_trip()
    finally:
        worker.client.config_set("maxmemory", 0)
    run(host, worker, 2)
    assert worker.bodies == everything(host)


def test_a_missing_right_is_named(tmp_path: Path, own_user_url: str, client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", keys.redis_user(HOST), "clearselectors")
    host = Host(tmp_path / "collector", own_user_url)
    with pytest.raises(LinkDown, match="does not permit host-7 what a collector needs"):
        host.round_trip()
    host.close()


def test_nobody_at_the_port_is_down(tmp_path: Path) -> None:
    host = Host(tmp_path / "collector", "redis://127.0.0.1:1/0")
    with pytest.raises(LinkDown, match=r"Redis at 127\.0\.0\.1:1 does not answer"):
        host.round_trip()
    host.close()
