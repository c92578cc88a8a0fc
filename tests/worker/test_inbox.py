from collections.abc import Iterator

import pytest
import redis

from wire import keys
from worker.inbox import Inbox, Waiting, share_out


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def push(client: "redis.Redis", shard: int, *entries: bytes) -> None:
    client.rpush(keys.inbox(shard), *entries)


def test_a_look_shows_the_shards_that_wait_or_ring(client: "redis.Redis") -> None:
    push(client, 3, b"a", b"b")
    client.set(keys.bell(5), "token")
    assert Inbox(client).look() == [Waiting(3, 2, None), Waiting(5, 0, b"token")]


def test_what_was_read_is_trimmed_and_what_came_since_stays(client: "redis.Redis") -> None:
    inbox = Inbox(client)
    push(client, 3, b"a", b"b", b"c")
    heads = inbox.heads([3], 2)
    push(client, 3, b"d")
    inbox.trim(heads)
    assert client.lrange(keys.inbox(3), 0, -1) == [b"c", b"d"]


def test_a_head_says_whether_it_was_all(client: "redis.Redis") -> None:
    inbox = Inbox(client)
    push(client, 3, b"a", b"b", b"c")
    assert [inbox.heads([3], limit)[3].emptied for limit in (2, 3, 4)] == [False, True, True]
    assert inbox.heads([4], 10)[4].emptied


def test_a_second_trim_of_the_same_head_takes_nothing(client: "redis.Redis") -> None:
    inbox = Inbox(client)
    push(client, 3, b"a", b"b")
    heads = inbox.heads([3], 1)
    inbox.trim(heads)
    inbox.trim(heads)
    assert client.lrange(keys.inbox(3), 0, -1) == [b"b"]


def test_an_inbox_that_was_flushed_and_filled_anew_is_not_trimmed(client: "redis.Redis") -> None:
    inbox = Inbox(client)
    push(client, 3, b"a")
    heads = inbox.heads([3], 1)
    client.flushall()
    push(client, 3, b"resent")
    inbox.heads([3], 1)
    inbox.trim(heads)
    assert client.lrange(keys.inbox(3), 0, -1) == [b"resent"]


def test_only_one_rings_for_a_shard_and_only_it_silences_the_bell(client: "redis.Redis") -> None:
    inbox = Inbox(client)
    assert inbox.ring([1, 2], "mine", 30) == [1, 2]
    assert inbox.ring([2, 3], "theirs", 30) == [3]
    inbox.silence([1, 2, 3], "mine")
    assert inbox.look() == [Waiting(3, 0, b"theirs")]


def test_a_duty_is_due_once_a_period(client: "redis.Redis") -> None:
    inbox = Inbox(client)
    assert [inbox.is_due("sweep", 60.0) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("lengths", "limit", "shares"),
    [
        ({1: 5, 2: 7}, 100, {1: 5, 2: 7}),
        # One floods: the others are read whole, it takes what is left.
        ({1: 5, 2: 100_000, 3: 5}, 100, {1: 5, 3: 5, 2: 90}),
        ({1: 1000, 2: 1000}, 100, {1: 50, 2: 50}),
        ({1: 0, 2: 3}, 100, {2: 3}),
        # However many there are, each is read from.
        (dict.fromkeys(range(64), 9), 8, dict.fromkeys(range(64), 1)),
    ],
)
def test_a_shard_that_floods_takes_nothing_from_the_others(
    lengths: dict[int, int], limit: int, shares: dict[int, int]
) -> None:
    assert share_out(lengths, limit) == shares
