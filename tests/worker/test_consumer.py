from collections import Counter
from types import SimpleNamespace

import pytest
import redis
from celery.worker import state

from wire import keys
from worker.consumer import Consumer


@pytest.fixture
def calls() -> list[object]:
    return []


@pytest.fixture
def consumer(calls: list[object]) -> Consumer:
    """The consumer of a worker with two children."""
    return Consumer(SimpleNamespace(consumer=SimpleNamespace(call_soon=calls.append), concurrency=2))


def test_it_tells_which_shards_its_worker_drains(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {
        "1": SimpleNamespace(name=keys.TASK_DRAIN, args=[[3, 4], "token"]),
        "2": SimpleNamespace(name=keys.TASK_SWEEP, args=[]),
    }
    monkeypatch.setattr(state, "requests", taken)
    assert consumer.drains() == {"token": [3, 4]}


def test_messages_that_nobody_takes_for_long_make_it_connect_again(consumer: Consumer, calls: list[object]) -> None:
    for second in range(13):
        consumer.check(2, float(second))
    [connect_again] = calls
    with pytest.raises(redis.ConnectionError):
        connect_again()  # type: ignore[operator]


def test_a_queue_that_is_empty_now_and_then_is_taken_from(consumer: Consumer, calls: list[object]) -> None:
    for second in range(20):
        consumer.check(second % 3, float(second))
    assert calls == []


def test_a_queue_whose_messages_are_taken_one_by_one_is_listened_to(
    consumer: Consumer, calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "total_count", Counter())
    for second in range(30):
        state.total_count["drain"] += second % 5 == 0
        consumer.check(2, float(second))
    assert calls == []


def test_messages_that_wait_for_busy_children_do_not_make_it_connect_again(
    consumer: Consumer, calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "requests", {"1": object(), "2": object()})
    for second in range(60):
        consumer.check(2, float(second))
    assert calls == []


def test_messages_that_a_free_child_does_not_take_make_it_connect_again(
    consumer: Consumer, calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "requests", {"1": object(), "2": object()})
    for second in range(60):
        consumer.check(2, float(second))
    del state.requests["2"]
    for second in range(60, 73):
        consumer.check(2, float(second))
    assert len(calls) == 1
