"""The protocol as far as a collector speaks it, against a peer that says what a test wants."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from collector.link import Link, LinkDown

KEY = bytes(range(32))
Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a peer that lets anybody in, answers the next command with the given bytes, and hangs up."""
    threads: list[threading.Thread] = []

    def serve(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def talk() -> None:
            with listener, listener.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"+OK\r\n")
                connection.recv(4096)
                connection.sendall(answer)

        threads.append(threading.Thread(target=talk))
        threads[-1].start()
        return f"redis://127.0.0.1:{listener.getsockname()[1]}/0"

    yield serve
    for thread in threads:
        thread.join(10)


def ask(url: str, commands: int = 1) -> list[bytes | int | None]:
    link = Link(url, 7, KEY)
    link.open()
    try:
        return link.exchange([("GET", "key")] * commands)
    finally:
        link.close()


def test_every_kind_of_reply_is_read(serve: Serve) -> None:
    url = serve(b"+OK\r\n:12\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n")
    assert ask(url, 5) == [b"OK", 12, b"a\r\nbc", b"", None]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "does not answer: the connection was closed"),
        (b"$5\r\nab", "does not answer: the connection was closed"),
        (b":1", "does not answer: the connection was closed"),
        (b"HTTP/1.1 400 Bad Request\r\n", "that is no Redis"),
        (b"$99999999999\r\n", "that is no Redis"),
        (b"-MISCONF Redis is configured to save\r\n", "refuses: MISCONF Redis is configured to save"),
        (b"-READONLY You can't write against a read only replica.\r\n", "refuses: READONLY"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "refuses: LOADING"),
        (b"-ERR \x1b[2J\xff\r\n", r"refuses: ERR \\x1b\[2J"),
    ],
)
def test_an_answer_that_is_none_closes_the_connection_and_says_why(serve: Serve, answer: bytes, complaint: str) -> None:
    link = Link(serve(answer), 7, KEY)
    link.open()
    with pytest.raises(LinkDown, match=complaint):
        link.exchange([("GET", "key")])
    assert not link.is_open


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://localhost", "redis://", "redis://localhost/one", "redis://localhost:port/0"],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are worded by urllib
        Link(url, 7, KEY)


def test_the_address_for_the_log_has_no_password() -> None:
    assert Link("redis://me:secret@db:6380/0", 7, KEY).address == "db:6380"
    assert Link("redis://db", 7, KEY).address == "db:6379"
    assert Link("unix:///run/redis.sock", 7, KEY).address == "/run/redis.sock"


def test_a_peer_without_tls_is_no_peer_for_a_tls_url(serve: Serve) -> None:
    link = Link(serve(b"").replace("redis://", "rediss://"), 7, KEY)
    with pytest.raises(LinkDown, match="does not answer"):
        link.open()
    assert not link.is_open


def test_a_unix_socket_that_is_not_there_is_down() -> None:
    with pytest.raises(LinkDown, match="No such file"):
        Link("unix:///no/such/socket", 7, KEY).open()
