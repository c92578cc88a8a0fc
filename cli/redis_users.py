"""The Redis ACL user of a host: it may push to its own shard and read what is meant for it, and nothing else."""

from collections.abc import Sequence

import redis

from wire import keys


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


def ensure_redis_users(client: redis.Redis, hosts: Sequence[tuple[int, bytes]]) -> bool:
    """Make or renew the user of each (host id, key); say whether they outlive a restart of that Redis.

    They do not when it was started without an ``aclfile``. Raises redis.RedisError.
    """
    database = int(client.connection_pool.connection_kwargs.get("db") or 0)
    pipeline = client.pipeline(transaction=False)
    for host_id, key in hosts:
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
