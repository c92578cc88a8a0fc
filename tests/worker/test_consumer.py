from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import redis
from celery.worker import state

from worker.consumer import Consumer


@pytest.fixture
def calls() -> list[object]:
    return []


@pytest.fixture
def consumer(calls: list[object]) -> Consumer:
    return Consumer(SimpleNamespace(consumer=SimpleNamespace(call_soon=calls.append)))


@pytest.fixture
def busy() -> Iterator[None]:
    task = Consumer(None)  # anything that has an identity
    state.active_requests.add(task)
    yield
    state.active_requests.discard(task)


def test_messages_that_nobody_takes_for_long_make_it_connect_again(consumer: Consumer, calls: list[object]) -> None:
    for second in range(5):
        consumer.check(2, float(second))
    [connect_again] = calls
    with pytest.raises(redis.ConnectionError):
        connect_again()  # type: ignore[operator]


def test_a_queue_that_is_empty_now_and_then_is_taken_from(consumer: Consumer, calls: list[object]) -> None:
    for second in range(20):
        consumer.check(second % 3, float(second))
    assert calls == []


@pytest.mark.usefixtures("busy")
def test_messages_wait_rightly_while_a_task_is_under_way(consumer: Consumer, calls: list[object]) -> None:
    for second in range(20):
        consumer.check(2, float(second))
    assert calls == []
