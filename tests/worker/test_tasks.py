import time
from pathlib import Path
from typing import Any

import redis

from store.engine import connect
from store.settings import ServerSettings
from wire import keys
from worker.app import connect_redis, create_app
from worker.inbox import Inbox
from worker.listener import Listener
from worker.tasks import Station

NO_DATABASE = "postgresql://nobody@127.0.0.1:9/nothing"


def test_a_drain_that_is_put_off_is_rung_for_again_soon(redis_url: str, tmp_path: Path) -> None:
    settings = ServerSettings.from_environment(
        {
            "FLEETMEDIC_REDIS_URL": redis_url,
            "FLEETMEDIC_DATABASE_URL": NO_DATABASE,
            "FLEETMEDIC_DATA_DIR": str(tmp_path),
        }
    )
    inbox = Inbox(connect_redis(settings))
    app = create_app(settings, Station(settings, connect(NO_DATABASE), inbox, {}, time.time), 1)
    rung: list[list[Any]] = []
    listener = Listener(
        inbox, lambda task, arguments: rung.append(arguments) if task == keys.TASK_DRAIN else None, 1, 100, 1000
    )
    with redis.Redis.from_url(redis_url) as client:
        client.rpush(keys.inbox(3), b"entry")
    listener.look()
    app.tasks[keys.TASK_DRAIN](*rung[0])
    # A listener looks twenty times a second, and each second lets its bells ring on.
    deadline = time.monotonic() + 10
    while len(rung) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        listener.look()
    assert [shards for shards, _ in rung] == [[3], [3]]
