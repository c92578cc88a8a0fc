"""Script jobs as the API sees them: the workers are told, somebody waits, and hears how it ended."""

import threading
import time
from contextlib import suppress
from http import HTTPStatus

import redis

from api.announcements import announce_script
from api.context import context
from api.problems import Problem
from api.queue import QueueDown
from api.streams import MAX_STREAMS
from store import scripts
from store.engine import reading
from wire import keys

MAX_WAITING = MAX_STREAMS // 2
"""Half of the threads that streams leave: while no worker renders, the rest still answer at once."""
_WAIT_SECONDS = 10
_LOOK_SECONDS = 1
"""Between looks at a job that nobody announced: what a worker announced is lost when Redis is flushed."""


def find_script(script_id: int) -> scripts.Script:
    """Return one script. Raises Problem (404)."""
    with reading(context().engine) as connection:
        script = scripts.find(connection, script_id)
    if script is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no script has the id {script_id}")
    return script


def tell_workers(script_id: int) -> None:
    """Tell the workers and live pages of a job that is queued. Raises Problem: 503 where Redis does not answer."""
    try:
        _ring(script_id)
    except QueueDown:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"script {script_id} is asked for, but Redis does not answer: it is made when Redis is back",
            members={"id": script_id, "state": "queued"},
        ) from None
    announce_script(script_id, "queued")


def _ring(script_id: int) -> None:
    context().queue.send(keys.QUEUE_SCRIPTS, keys.TASK_RENDER, [[script_id]])


def wait_for_script(script_id: int, waiting: threading.Semaphore) -> scripts.Script:
    """Return a script as soon as it is done, as it is when that takes ten seconds. Raises Problem.

    Where too many wait already, it is returned as it is.
    """
    script = find_script(script_id)
    if script.is_done or not waiting.acquire(blocking=False):
        return script
    done = keys.script_done(script_id)
    try:
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            # What is found goes back at once, for whoever else waits for the same script. The thread has a connection
            # of its own from the pool: nobody waits behind it.
            found = context().redis.blmove(done, done, _LOOK_SECONDS)
            script = find_script(script_id)
            if script.is_done:
                break
            if found is None:
                # A worker that died may have had it in hand. One that is only slow passes over what it has done.
                _ring(script_id)
            else:
                # Of an end before it was tried again.
                forget_end(script_id)
    except (redis.RedisError, QueueDown):
        script = find_script(script_id)
    finally:
        waiting.release()
    return script


def wake(script_id: int) -> None:
    """Let all go on who wait for a script; without Redis they look by themselves."""
    with suppress(redis.RedisError):
        pipeline = context().redis.pipeline(transaction=False)
        pipeline.rpush(keys.script_done(script_id), 1)
        pipeline.expire(keys.script_done(script_id), _WAIT_SECONDS)
        pipeline.execute()


def forget_end(script_id: int) -> None:
    """Forget that a job was done before it is tried again."""
    with suppress(redis.RedisError):
        context().redis.delete(keys.script_done(script_id))
