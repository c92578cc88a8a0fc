"""Files that hold secrets: never readable by others, not even for a moment."""

import os
import secrets
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Write a file that its owner alone may read; who reads it meanwhile finds the old text or the new one."""
    temporary = file.with_name(file.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    temporary.replace(file)


def kept_secret(file: Path) -> str:
    """Return the secret in the file; where there is none yet, make one that nobody can guess and keep it there."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32) + "\n")
    return file.read_text().strip()
