"""TLS as a collector speaks it: whom it trusts, and what it says of whom it does not."""

import datetime
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from collector.link import Link, LinkDown
from tests.tls import authority_file, tls_in_front

KEY = bytes(range(32))
NAME = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def authorities(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority_file(authority, tmp_path_factory.mktemp("authority") / "ca.pem")


@pytest.fixture
def plain_port() -> Iterator[int]:
    """A peer that answers everything with OK, without TLS."""

    with _Peer((NAME, 0), _SaysOk) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


class _Peer(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _SaysOk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.request.recv(4096):
            self.wfile.write(b"+OK\r\n")


def link_to(port: int, authorities: Path) -> Link:
    return Link(f"rediss://{NAME}:{port}/0?ssl_ca_certs={authorities}", 7, KEY)


def test_a_server_whose_authority_is_named_is_spoken_to(
    plain_port: int, authority: trustme.CA, authorities: Path
) -> None:
    with tls_in_front(plain_port, authority.issue_cert(NAME)) as port:
        link = link_to(port, authorities)
        link.open()
        assert link.exchange([("GET", "key")]) == [b"OK"]
        link.close()


def test_without_a_file_the_authorities_of_the_system_count(
    plain_port: int, authority: trustme.CA, authorities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_in_front(plain_port, authority.issue_cert(NAME)) as port:
        link = Link(f"rediss://{NAME}:{port}/0", 7, KEY)
        with pytest.raises(LinkDown, match=r"unable to get local issuer certificate; name the file .*ssl_ca_certs="):
            link.open()
        monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
        link.open()
        link.close()


def test_a_server_of_another_authority_is_not_trusted(plain_port: int, authorities: Path) -> None:
    with tls_in_front(plain_port, trustme.CA().issue_cert(NAME)) as port:
        link = link_to(port, authorities)
        with pytest.raises(LinkDown, match=r"not accepted: .*; is .*ca\.pem the authority that signed it\?"):
            link.open()
        assert not link.is_open


def test_a_certificate_for_another_name_is_not_accepted(
    plain_port: int, authority: trustme.CA, authorities: Path
) -> None:
    with (
        tls_in_front(plain_port, authority.issue_cert("redis.example")) as port,
        pytest.raises(LinkDown, match=r"not accepted: .*not valid for '127\.0\.0\.1'"),
    ):
        link_to(port, authorities).open()


def test_an_expired_certificate_is_not_accepted(plain_port: int, authority: trustme.CA, authorities: Path) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    with (
        tls_in_front(plain_port, authority.issue_cert(NAME, not_after=yesterday)) as port,
        pytest.raises(LinkDown, match="not accepted: certificate has expired"),
    ):
        link_to(port, authorities).open()


def test_a_server_without_tls_is_named(plain_port: int, authorities: Path) -> None:
    with pytest.raises(LinkDown, match=r"no TLS there \(wrong version number\): is it the port for TLS\?"):
        link_to(plain_port, authorities).open()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_cannot_be_used_is_named(
    content: str | None, plain_port: int, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(LinkDown, match=r"ca\.pem \(ssl_ca_certs\) holds no certificate that can be read: \w"):
        link_to(plain_port, tmp_path / "ca.pem").open()


def test_a_collector_without_tls_does_not_load_it() -> None:
    program = "import sys, collector.main; sys.exit('ssl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
