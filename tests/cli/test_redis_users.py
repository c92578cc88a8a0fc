import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from cli.ports import free_port
from cli.redis_server import RedisServer, find_redis_server, start_redis
from cli.redis_users import ensure_redis_users
from collector.link import Link
from wire import keys

HOST = 7
KEY = b"k" * 32
SHARD = keys.shard_of(HOST)
OTHER_SHARD = (SHARD + 1) % keys.SHARDS


def _as_host(url: str, key: bytes = KEY) -> redis.Redis:
    return redis.Redis.from_url(url, username=keys.redis_user(HOST), password=keys.redis_password(key), retry=None)


def _without_password(url: str) -> str:
    return "redis://" + url.partition("@")[2]


@pytest.fixture
def host(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client that is host 7."""
    with redis.Redis.from_url(redis_server.url) as administrator:
        administrator.flushall()
        administrator.rpush(keys.inbox(SHARD), b"of another host")
        administrator.set(keys.ack(HOST), b"1:1")
        administrator.set(keys.config(HOST), b"{}")
        administrator.set(keys.ack(HOST + 1), b"9:9")
        ensure_redis_users(administrator, [(HOST, KEY)])
        with _as_host(_without_password(redis_server.url)) as client:
            yield client
        administrator.execute_command("ACL", "DELUSER", keys.redis_user(HOST))


def test_a_host_pushes_and_reads_what_is_meant_for_it_in_one_round_trip(host: redis.Redis) -> None:
    push = host.pipeline(transaction=False)
    push.rpush(keys.inbox(SHARD), b"entry")
    push.get(keys.ack(HOST))
    push.get(keys.config(HOST))
    push.get(keys.full(SHARD))
    assert push.execute() == [2, b"1:1", b"{}", None]


def test_an_error_shows_no_password(host: redis.Redis) -> None:
    with pytest.raises(redis.RedisError, match="no permissions") as raised:
        ensure_redis_users(host, [(HOST, KEY)])
    assert keys.redis_password(KEY) not in str(raised.value)


REFUSED: dict[str, Callable[[redis.Redis], object]] = {
    "read its inbox": lambda host: host.lrange(keys.inbox(SHARD), 0, -1),
    "pop from its inbox": lambda host: host.lpop(keys.inbox(SHARD)),
    "trim its inbox": lambda host: host.ltrim(keys.inbox(SHARD), 1, 0),
    "delete its inbox": lambda host: host.delete(keys.inbox(SHARD)),
    "expire its inbox": lambda host: host.expire(keys.inbox(SHARD), 1),
    "push ahead of others": lambda host: host.lpush(keys.inbox(SHARD), b"x"),
    "push to another shard": lambda host: host.rpush(keys.inbox(OTHER_SHARD), b"x"),
    "push to the tasks": lambda host: host.rpush(keys.QUEUE_INGEST, b"x"),
    "push to its acknowledgement": lambda host: host.rpush(keys.ack(HOST), b"x"),
    "read another host's acknowledgement": lambda host: host.get(keys.ack(HOST + 1)),
    "read its inbox as a string": lambda host: host.get(keys.inbox(SHARD)),
    "acknowledge itself": lambda host: host.set(keys.ack(HOST), b"9:9"),
    "change its config": lambda host: host.set(keys.config(HOST), b"{}"),
    "lift the full flag": lambda host: host.delete(keys.full(SHARD)),
    "list the keys": lambda host: host.keys(),
    "scan the keys": lambda host: host.scan(),
    "run a script": lambda host: host.eval("return 1", 0),
    "subscribe": lambda host: host.execute_command("SUBSCRIBE", "c"),
    "publish": lambda host: host.publish("c", "x"),
    "watch all commands": lambda host: host.execute_command("MONITOR"),
    "empty Redis": lambda host: host.flushall(),
    "stop Redis": lambda host: host.execute_command("SHUTDOWN"),
    "read the configuration": lambda host: host.config_get(),
    "make a user": lambda host: host.execute_command("ACL", "SETUSER", "x", "on"),
    "list the users": lambda host: host.execute_command("ACL", "LIST"),
    "list the clients": lambda host: host.client_list(),
    "go to another database": lambda host: host.execute_command("SELECT", 1),
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED.keys())
def test_a_host_may_do_nothing_else(host: redis.Redis, attempt: Callable[[redis.Redis], object]) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        attempt(host)


def test_a_collector_leaves_no_refusal_in_the_log(redis_server: RedisServer, host: redis.Redis) -> None:
    link = Link(_without_password(redis_server.url), HOST, KEY)
    with redis.Redis.from_url(redis_server.url) as administrator:
        administrator.execute_command("ACL", "LOG", "RESET")
        link.open()
        link.exchange([("RPUSH", keys.inbox(SHARD), b"entry"), ("GET", keys.ack(HOST)), ("GET", keys.full(SHARD))])
        link.close()
        assert administrator.execute_command("ACL", "LOG") == []


def test_a_wrong_key_opens_nothing(redis_server: RedisServer, host: redis.Redis) -> None:
    stranger = _as_host(_without_password(redis_server.url), b"z" * 32)
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.get(keys.ack(HOST))


def test_a_host_of_a_server_in_another_database_reaches_that_one(redis_server: RedisServer) -> None:
    in_third = redis_server.url.removesuffix("/0") + "/3"
    with redis.Redis.from_url(in_third) as administrator:
        ensure_redis_users(administrator, [(HOST, KEY)])
        with _as_host(_without_password(in_third)) as client:
            assert client.rpush(keys.inbox(SHARD), b"entry") == 1
        assert administrator.lrange(keys.inbox(SHARD), 0, -1) == [b"entry"]
        administrator.delete(keys.inbox(SHARD))


def test_the_users_outlive_a_restart_of_our_redis(tmp_path: Path) -> None:
    port = free_port()
    for start in ("first", "second"):
        server = start_redis(tmp_path, "secret", "127.0.0.1", port)
        try:
            if start == "first":
                with redis.Redis.from_url(server.url) as administrator:
                    assert ensure_redis_users(administrator, [(HOST, KEY)])
            with _as_host(_without_password(server.url)) as client:
                assert client.ping()
        finally:
            server.process.kill()
            server.process.wait()


def test_a_redis_without_a_file_for_users_is_told_apart(tmp_path: Path) -> None:
    port = free_port()
    command = [find_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        retry = Retry(ConstantBackoff(0.02), retries=500)
        with redis.Redis(port=port, retry=retry) as administrator:
            assert not ensure_redis_users(administrator, [(HOST, KEY)])
    finally:
        process.kill()
        process.wait()
