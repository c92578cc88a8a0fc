"""More comes than the workers take: inboxes stay short, spools hold the rest, and what a full one drops is shown."""

import time
from collections import Counter
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from store.accounts import of_fleet, of_host, page_of_gaps
from store.engine import reading
from tests.system.all_in_one import wait_until
from tests.system.fleet import SimulatedHost, enroll_hosts, running_fleet
from tests.system.oracle import NOTHING_WRONG, judge
from tests.system.processes import running
from wire import keys
from worker.inbox import Inbox
from worker.ingest import drain

HOSTS = 6
READING_SECONDS = 0.02
CAP_ENTRIES = 20
# What one host pushes until it has seen that its inbox is over the cap.
ON_THEIR_WAY = 60
MORE = 100


def inboxes(client: "redis.Redis") -> dict[int, int]:
    """Return how many entries wait, by shard."""
    lengths = {shard: client.llen(keys.inbox(shard)) for shard in range(keys.SHARDS)}
    return {shard: length for shard, length in lengths.items() if length}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_while_the_database_stands_still_spools_hold_what_inboxes_may_not(
    engine: Engine, redis_url: str, tmp_path: Path
) -> None:
    environment = {
        "FLEETMEDIC_REDIS_URL": redis_url,
        "FLEETMEDIC_DATABASE_URL": engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "FLEETMEDIC_INBOX_CAP_ENTRIES": str(CAP_ENTRIES),
    }
    with (
        redis.Redis.from_url(redis_url) as client,
        running(tmp_path / "worker.log", "worker", **environment),
        running_fleet(engine, redis_url, tmp_path, HOSTS, READING_SECONDS) as fleet,
    ):
        fleet.wait_for_progress()
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE host_state IN EXCLUSIVE MODE"))
            fleet.wait_for_more(HOSTS * MORE)
            neighbours = Counter(keys.shard_of(host.id) for host in fleet.hosts)
            for shard, length in inboxes(client).items():
                assert CAP_ENTRIES < length < CAP_ENTRIES + ON_THEIR_WAY * neighbours[shard]
            kept = [host.spool.last - host.spool.acknowledged for host in fleet.hosts]
            assert min(kept) >= MORE / 2
        produced = fleet.settle()
    assert judge(engine, produced) == NOTHING_WRONG
    with reading(engine) as connection:
        account = of_fleet(connection)
    assert (account.sent, account.committed, account.outstanding) == (len(produced), len(produced), 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_full_spool_drops_is_declared_and_shown(engine: Engine, redis_url: str, tmp_path: Path) -> None:
    [enrolled] = enroll_hosts(engine, redis_url, 1)
    host = SimulatedHost(enrolled, tmp_path / "host", redis_url, spool_bytes=64 * 1024)
    with redis.Redis.from_url(redis_url) as client:
        try:
            for _ in range(1000):
                host.read()

            def is_settled() -> bool:
                drain(engine, Inbox(client), range(keys.SHARDS), 4000, time.time, {})
                return host.spool.acknowledged == host.spool.last

            wait_until(is_settled)
        finally:
            host.close()
    with reading(engine) as connection:
        account, open_gap = of_host(connection, host.id)
        found = page_of_gaps(connection, host.id, 100)
    assert open_gap is None
    assert account.sent == 1000
    assert 0 < account.committed == 1000 - account.dropped
    assert {(gap.state, gap.reason) for gap in found} == {("declared", "the spool was full")}
    assert sum(gap.last - gap.first + 1 for gap in found) == account.dropped
    assert all(gap.first_taken_at and gap.last_taken_at for gap in found)
