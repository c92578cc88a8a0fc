"""Addresses and TCP ports of this machine: free and taken ones."""

import errno
import ipaddress
import socket

from cli.errors import CommandFailed


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def check_free(host: str, port: int, option: str) -> None:
    """Raise CommandFailed, naming the option to change, where a server could not listen on this address and port."""
    for family, address in _resolve(host, port):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do: without it, a port that was in use a minute ago looks taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise CommandFailed(_why_not(error, host, port, option)) from None


def _why_not(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: stop it, or choose another port with {option}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: choose one of its own with --host"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs administrator rights: choose one above 1023 with {option}"
    return f"port {port} on {host} cannot be used: {error.strerror}"


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches the address. Raises CommandFailed for a name that nobody knows."""
    return all(ipaddress.ip_address(address[0]).is_loopback for _, address in _resolve(host, 0))


def is_wildcard(host: str) -> bool:
    """Say whether the address stands for all addresses of this machine."""
    return all(ipaddress.ip_address(address[0]).is_unspecified for _, address in _resolve(host, 0))


def outward_address() -> str:
    """Return the address by which other machines most likely reach this one; its name where it has no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it only picks the route to an address that is nobody's (RFC 5737).
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return socket.gethostname()
        address: str = probe.getsockname()[0]
        return address


def _resolve(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise CommandFailed(f"{host!r} is no address: name one of this machine's own with --host") from None
    return [(family, (str(address[0]), port)) for family, _, _, _, address in found]
