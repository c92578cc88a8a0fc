"""Tells live pages what the API itself changed, as workers tell of what they did."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
import redis

from api.context import context
from store.scripts import State
from wire.keys import CHANGES


def announce_events(host_ids: Sequence[int]) -> None:
    """Say that events of these hosts changed. Without Redis nobody hears it: pages ask again by themselves."""
    _announce({"events": host_ids})


def announce_script(script_id: int, state: State) -> None:
    """Say which state a script came to, as far as anybody hears it."""
    _announce({"scripts": {script_id: state}})


def _announce(changes: object) -> None:
    with suppress(redis.RedisError):
        context().redis.publish(CHANGES, msgspec.json.encode(changes))
