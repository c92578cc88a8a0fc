"""Tells live pages what the API itself changed, as workers tell of what they did."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
import redis

from api.context import context
from wire.keys import CHANGES


def announce_events(host_ids: Sequence[int]) -> None:
    """Say that events of these hosts changed. Without Redis nobody hears it: pages ask again by themselves."""
    with suppress(redis.RedisError):
        context().redis.publish(CHANGES, msgspec.json.encode({"events": host_ids}))
