"""The Redis ACL user of a host: it may push to its own shard and read what is meant for it, and nothing else."""

from collections.abc import Sequence

import redis

from wire import keys

_USERS_AT_ONCE = 5000
# ACL SAVE writes all users anew; of a million it takes longer than a client usually waits.
_SAVE_SECONDS = 60


def redis_rules(host_id: int, key: bytes, database: int = 0) -> list[str]:
    """Return the ACL rules of a host's user (redis.io/docs/latest/operate/oss_and_stack/management/security/acl).

    One selector for each right, so that no command meets another one's keys: whoever may RPUSH can neither read
    nor trim nor delete. ``ping`` is for whoever looks what is wrong. Redis 7.0 must know every name here.
    """
    shard = keys.shard_of(host_id)
    select = [f"+select|{database}"] if database else []
    return [
        "reset",
        "on",
        f">{keys.redis_password(key)}",
        "-@all",
        "+ping",
        *select,
        f"(+rpush %W~{keys.inbox(shard)})",
        f"(+get %R~{keys.ack(host_id)} %R~{keys.config(host_id)} %R~{keys.full(shard)})",
    ]


def connect_to_enroll(url: str) -> redis.Redis:
    """Return a client that waits until Redis has written the users of a very large fleet. Raises ValueError."""
    return redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=_SAVE_SECONDS)


def ensure_redis_users(client: redis.Redis, hosts: Sequence[tuple[int, bytes]]) -> bool:
    """Make or renew the user of each (host id, key); say whether they outlive a restart of that Redis.

    They do not when it was started without an ``aclfile``. Raises redis.RedisError.
    """
    database = int(client.connection_pool.connection_kwargs.get("db") or 0)
    for place in range(0, len(hosts), _USERS_AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for host_id, key in hosts[place : place + _USERS_AT_ONCE]:
            rules = redis_rules(host_id, key, database)
            pipeline.execute_command("ACL", "SETUSER", keys.redis_user(host_id), *rules)  # type: ignore[no-untyped-call]
        # Not raised by the pipeline, whose message would show the command with the password in it.
        for answer in pipeline.execute(raise_on_error=False):
            if isinstance(answer, redis.RedisError):
                raise answer
    try:
        client.acl_save()
    except redis.ResponseError as error:
        if "not configured to use an ACL file" not in str(error):
            raise
        return False
    return True
