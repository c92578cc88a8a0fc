from typing import Any

import pytest
import redis

from wire import keys
from worker.inbox import Inbox, Waiting
from worker.listener import DUTIES, PATIENT_DUTIES, Listener, pack


def waiting(*lengths: tuple[int, int]) -> list[Waiting]:
    return [Waiting(shard, length, None) for shard, length in lengths]


@pytest.mark.parametrize(
    ("rows", "doorbells", "turn", "packed"),
    [
        # Few entries: one doorbell for all.
        (waiting((1, 10), (2, 10), (3, 10)), 2, 0, [[1, 2, 3]]),
        # A doorbell is full at 100 entries; then the next.
        (waiting((1, 60), (2, 60), (3, 10)), 2, 0, [[1, 2], [3]]),
        (waiting((1, 500), (2, 500), (3, 500)), 2, 0, [[1], [2]]),
        # Next turn, others come first.
        (waiting((1, 500), (2, 500), (3, 500)), 2, 3, [[3], [1]]),
        # One that is flooded comes behind those that are not.
        (waiting((1, 500), (2, 10), (3, 10)), 1, 0, [[2, 3, 1]]),
        # All children have their doorbell already.
        (waiting((1, 500)), 0, 0, []),
        ([], 2, 0, []),
    ],
)
def test_shards_are_packed_into_doorbells(
    rows: list[Waiting], doorbells: int, turn: int, packed: list[list[int]]
) -> None:
    assert pack(rows, 100, doorbells, turn) == packed


def test_a_listener_rings_once_for_what_waits_until_it_is_drained(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        inbox = Inbox(client)
        sent: list[tuple[str, list[Any]]] = []
        listener = Listener(inbox, lambda task, arguments: sent.append((task, arguments)), 1, 100, 1000)
        client.rpush(keys.inbox(3), b"entry")
        listener.look()
        listener.look()
        [(task, (shards, token))] = sent
        assert (task, shards) == (keys.TASK_DRAIN, [3])
        inbox.silence(shards, token)
        listener.look()
        assert [arguments[0] for _, arguments in sent] == [[3], [3]]


def test_collectors_of_a_shard_over_its_cap_are_asked_to_wait(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.rpush(keys.inbox(3), *[b"entry"] * 11)
        client.rpush(keys.inbox(4), *[b"entry"] * 10)
        listener = Listener(Inbox(client), lambda *_: None, 1, 100, cap_entries=10)
        listener.look()
        assert [bool(client.exists(keys.full(shard))) for shard in (3, 4)] == [True, False]


def test_of_two_listeners_one_rings_for_each_duty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        sent: list[str] = []
        for _ in range(2):
            listener = Listener(Inbox(client), lambda task, _: sent.append(task), 1, 100, 1000)
            for _ in range(20):
                listener.look()
        assert sorted(sent) == sorted(DUTIES)


@pytest.mark.parametrize(
    ("messages", "drains_here", "rings"),
    [
        # The message waits in the queue; or this worker drains.
        (1, {}, True),
        (0, {"token": [3]}, True),
        # Another worker took it, and keeps the bell ringing then; or it is lost.
        (0, {}, False),
    ],
)
def test_a_bell_is_kept_ringing_by_who_drains_and_while_its_message_waits(
    messages: int, drains_here: dict[str, list[int]], rings: bool, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        listener = Listener(Inbox(client), lambda *_: None, 1, 100, 1000, drains_here=lambda: drains_here)
        client.rpush(keys.inbox(3), b"entry")
        listener.look()
        if messages:
            client.rpush(keys.QUEUE_INGEST, b"message")
        client.expire(keys.bell(3), 2)
        for _ in range(20):
            listener.look()
        assert (client.ttl(keys.bell(3)) > 2) == rings


def test_bells_that_came_back_with_redis_are_not_kept_ringing(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis.Redis.from_url(redis_url) as client:
        inbox = Inbox(client)
        listener = Listener(inbox, lambda *_: None, 1, 100, 1000)
        client.rpush(keys.inbox(3), b"entry")
        listener.look()

        def is_away() -> list[Waiting]:
            listener.stop()
            raise redis.ConnectionError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(inbox, "look", is_away)
            listener.run()
        client.expire(keys.bell(3), 2)
        for _ in range(20):
            listener.look()
        assert client.ttl(keys.bell(3)) <= 2


def rung_for(client: "redis.Redis") -> set[str]:
    """Return what a listener of one child, whose batches are of 100, rings for in a second."""
    sent: set[str] = set()
    listener = Listener(Inbox(client), lambda task, _: sent.add(task), 1, 100, 1000)
    for _ in range(20):
        listener.look()
    return sent & DUTIES.keys()


def test_while_drains_are_behind_some_duties_wait(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.rpush(keys.inbox(3), *[b"entry"] * 101)
        assert rung_for(client) == DUTIES.keys() - PATIENT_DUTIES
        client.rpop(keys.inbox(3))
        assert rung_for(client) == PATIENT_DUTIES


def test_but_not_for_ever(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.listener._LONGEST_PATIENCE_SECONDS", 0.0)
    with redis.Redis.from_url(redis_url) as client:
        client.rpush(keys.inbox(3), *[b"entry"] * 101)
        assert rung_for(client) == DUTIES.keys()
