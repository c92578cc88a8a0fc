"""Saving scripts on the server: into one folder and nowhere else, whatever a name asks for."""

import os
import secrets
import stat
import unicodedata
from contextlib import suppress
from pathlib import Path

from store.remedies import ScriptType

_SUFFIXES: dict[ScriptType, str] = {"bash": ".sh", "powershell": ".ps1"}
_MODES: dict[ScriptType, int] = {"bash": 0o700, "powershell": 0o600}
_MAX_NAME_BYTES = 200
"""Of the 255 that file systems take; the rest is for the temporary name."""
# Names that Windows keeps for devices, whatever their suffix: learn.microsoft.com, "Naming Files, Paths, Namespaces".
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{device}{number}" for device in ("COM", "LPT") for number in "0123456789\u00b9\u00b2\u00b3"]
)
_FORBIDDEN = frozenset('<>:"/\\|?*')


class BadFilename(ValueError):
    """A name that no script may be saved under; the message reads on from ``filename``."""


class FileTaken(Exception):
    """Another file has that name."""


def check_filename(name: str, script_type: ScriptType) -> None:
    """Raise BadFilename for a name that is not that of a plain file on Linux, macOS and Windows."""
    suffix = _SUFFIXES[script_type]
    if not name:
        raise BadFilename("is empty")
    if any(character in _FORBIDDEN for character in name):
        raise BadFilename('must be a plain name, without a path: none of < > : " / \\ | ? *')
    if any(unicodedata.category(character)[0] == "C" for character in name):
        raise BadFilename("has a control, format or unassigned character in it")
    if name[0] in ".-~ ":
        raise BadFilename(f"begins with {name[0]!r}")
    if name[-1] in ". ":
        raise BadFilename(f"ends with {name[-1]!r}")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise BadFilename(f"is longer than {_MAX_NAME_BYTES} bytes")
    if name.partition(".")[0].rstrip(" ").upper() in _RESERVED:
        raise BadFilename("is a name that Windows keeps for a device")
    if not name.endswith(suffix) or name == suffix:
        raise BadFilename(f"must end with {suffix}")


def save(folder: Path, name: str, script_type: ScriptType, content: str) -> Path:
    """Write a script and return where it is; one that is there already with this content stays.

    Raises BadFilename, FileTaken where the name is that of anything else, and OSError.
    """
    check_filename(name, script_type)
    folder.mkdir(mode=0o700, exist_ok=True)
    # From here on by descriptor: whatever becomes of the path, nothing is written elsewhere.
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _is_there(directory, name, content):
            _write(directory, name, content, _MODES[script_type])
    finally:
        os.close(directory)
    return folder / name


def _is_there(directory: int, name: str, content: str) -> bool:
    """Say whether the file is there with this content. Raises FileTaken where it is something else."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return False
    except OSError:
        # A link, a socket, or what this user may not read.
        raise FileTaken from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileTaken
    with os.fdopen(file, "rb") as stream:
        if stream.read() != content.encode():
            raise FileTaken
    return True


def _write(directory: int, name: str, content: str, mode: int) -> None:
    temporary = f".{secrets.token_hex(8)}.new"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content.encode())
            stream.flush()
            os.fsync(file)
        # A link and not a rename: that would replace what came to be there meanwhile.
        try:
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except FileExistsError:
            raise FileTaken from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
    os.fsync(directory)
