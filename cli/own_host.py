"""The machine that ``up`` runs on, as a host of its own server."""

import re
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from cli.errors import CommandFailed
from cli.private_files import write_private
from store.enrollment import EnrolledHost, EnrollmentRefused, enroll
from wire.hostkey import format_host_key, parse_host_key

_NAMES_TRIED = 100


def ensure_own_host(
    connection: Connection, enrolled: Sequence[EnrolledHost], key_file: Path, hostname: str, now: float
) -> EnrolledHost:
    """Return the host whose key is in ``key_file``; where the server does not know it, enroll one and keep its key.

    A name that is taken is another machine's, whatever this one is called: then a number is added.
    """
    kept = kept_host(enrolled, key_file)
    if kept is not None:
        return kept
    for number in range(1, _NAMES_TRIED):
        try:
            host = enroll(connection, usable_name(hostname, number), now=now)
        except EnrollmentRefused:
            continue
        keep_key(key_file, host)
        return host
    raise CommandFailed(f"{_NAMES_TRIED - 1} machines are called {usable_name(hostname, 1)}: rename this one")


def kept_host(enrolled: Sequence[EnrolledHost], key_file: Path) -> EnrolledHost | None:
    """Return the host whose key is in ``key_file``, None where there is no key or the server does not know it."""
    try:
        kept = parse_host_key(key_file.read_text())
    except (OSError, ValueError):
        return None
    return next((host for host in enrolled if (host.id, host.key) == kept), None)


def keep_key(key_file: Path, host: EnrolledHost) -> None:
    """Write the key of a host that was just enrolled into a private file. Raises OSError.

    To be called before the commit: a crash between the two leaves a key of no host, never a host that nobody can be.
    """
    write_private(key_file, format_host_key(host.id, host.key) + "\n")


def usable_name(hostname: str, number: int = 1) -> str:
    """Return a host name that enrollment takes, as near as may be to what the machine is called."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", hostname).lstrip("._-")
    if not name or name.isdigit():
        name = f"host-{name}".rstrip("-")
    suffix = "" if number == 1 else f"-{number}"
    return name[: 63 - len(suffix)] + suffix
