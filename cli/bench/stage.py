"""What a bench plays on: a folder, a Redis and a migrated database of its own, and what its parts are told of them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

import migrations
from cli.bench.parts import own_database, own_redis
from cli.errors import CommandFailed
from cli.redis_server import RedisServer
from store.engine import connect


@dataclass(frozen=True)
class Stage:
    """Where the parts run; all of it ends with the block that it was made for."""

    folder: Path
    redis_server: RedisServer
    client: "redis.Redis"
    """The administrator's."""
    engine: Engine
    token: str
    """The API's admin token."""
    settings: Mapping[str, str]
    """The environment of a worker and an API on this stage."""


@contextmanager
def own_stage(database: str, environment: Mapping[str, str]) -> Iterator[Stage]:
    """Give a stage with the ``database`` that was asked for (``cli.bench.parts.own_database``).

    Raises CommandFailed, also where its Redis or its database fails within the block.
    """
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="fleetmedic-bench-")))
            server = stack.enter_context(own_redis(folder / "redis"))
            database_url = stack.enter_context(own_database(database, folder))
            client = stack.enter_context(redis.Redis.from_url(server.url))
            engine = connect(database_url)
            stack.callback(engine.dispose)
            migrations.upgrade(engine)
            token = secrets.token_hex(16)
            settings = {
                **environment,
                "FLEETMEDIC_DATA_DIR": str(folder),
                "FLEETMEDIC_REDIS_URL": server.url,
                "FLEETMEDIC_DATABASE_URL": database_url,
                "FLEETMEDIC_ADMIN_TOKEN": token,
            }
            yield Stage(folder, server, client, engine, token, settings)
    except DBAPIError as error:
        first_line = str(error.orig).strip().partition("\n")[0]
        raise CommandFailed(f"that database cannot be used: {first_line}") from None
    except redis.RedisError as error:
        raise CommandFailed(f"the Redis of this bench failed: {error}") from None
