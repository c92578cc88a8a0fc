"""``server.json`` in the data folder: where a running ``up`` is reached, for other commands of the same user."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from cli.private_files import write_private
from wire.environment import data_dir


class ServerFile(Struct, frozen=True):
    """What a running ``up`` says of itself. Holds secrets: its file is readable by its owner alone."""

    pid: int
    api_url: str
    admin_token: str
    redis_url: str
    """The administrator's."""
    database_url: str
    collector_redis_url: str
    """What the collectors of other hosts are given: an address that they reach, without credentials."""


def write_server_file(folder: Path, server: ServerFile) -> None:
    """Leave word in the data folder."""
    write_private(_file(folder), msgspec.json.format(msgspec.json.encode(server)).decode() + "\n")


def remove_server_file(folder: Path) -> None:
    """Take the word back."""
    _file(folder).unlink(missing_ok=True)


def read_server_file(folder: Path) -> ServerFile | None:
    """Return the ``up`` that runs on this data folder, None where none does or it is another user's."""
    try:
        server = msgspec.json.decode(_file(folder).read_bytes(), type=ServerFile)
    except (OSError, msgspec.DecodeError):
        return None
    # An `up` that was killed leaves its file behind.
    return server if psutil.pid_exists(server.pid) else None


def find_server(environment: Mapping[str, str], data_folder: str | None) -> dict[str, str]:
    """Return the environment for a command that speaks to the server: what is set, completed by a running ``up``.

    ``data_folder`` is the command's --data-dir. A URL that is set never meets the token of another server.
    """
    given = {name: value for name, value in environment.items() if value}
    if data_folder is not None:
        given["FLEETMEDIC_DATA_DIR"] = data_folder
    folder = data_dir(given)
    server = read_server_file(folder)
    if server is None:
        return given
    known = {"FLEETMEDIC_REDIS_URL": server.redis_url, "FLEETMEDIC_DATABASE_URL": server.database_url}
    if "FLEETMEDIC_API_URL" not in given:
        known |= {"FLEETMEDIC_API_URL": server.api_url, "FLEETMEDIC_ADMIN_TOKEN": server.admin_token}
    return known | given


def _file(folder: Path) -> Path:
    return folder / "server.json"
