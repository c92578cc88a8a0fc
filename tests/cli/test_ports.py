import socket
from collections.abc import Iterator

import pytest

from cli.errors import CommandFailed
from cli.ports import check_free, free_port, is_loopback, is_wildcard


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of this machine that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_taken_port_is_named_with_the_option_that_changes_it(host: str, taken: int) -> None:
    with pytest.raises(CommandFailed, match=rf"port {taken} on {host} is taken .* --port"):
        check_free(host, taken, "--port")


def test_a_free_port_is_free_also_just_after_a_connection() -> None:
    port = free_port()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()
    check_free("127.0.0.1", port, "--port")


@pytest.mark.parametrize(
    ("host", "message"),
    [("203.0.113.1", "203.0.113.1 is no address of this machine"), ("no host", "'no host' is no address")],
)
def test_an_address_of_nobody_is_named(host: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        check_free(host, free_port(), "--port")


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("127.0.0.1", True, False),
        ("127.8.8.8", True, False),
        ("localhost", True, False),
        ("::1", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("203.0.113.1", False, False),
    ],
)
def test_it_is_known_who_reaches_an_address(host: str, loopback: bool, wildcard: bool) -> None:
    assert (is_loopback(host), is_wildcard(host)) == (loopback, wildcard)
