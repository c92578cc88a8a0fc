import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cli.data_folder import held
from cli.errors import CommandFailed
from cli.private_files import kept_secret, write_private

HOLDER = textwrap.dedent(
    """
    import subprocess, sys
    from pathlib import Path
    from cli.data_folder import held

    with held(Path(sys.argv[1])) as lock:
        if sys.argv[2:]:
            # A part that inherits the lock and lives a moment longer.
            subprocess.Popen(["sleep", sys.argv[2]], pass_fds=[lock])
        print("held", flush=True)
        sys.stdin.read()
    """
)


def _holder(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "fleetmedic"
    with held(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_who_holds_the_folder_is_named(tmp_path: Path) -> None:
    holder = _holder(tmp_path)
    try:
        with pytest.raises(CommandFailed, match=rf"in use by `fleetmedic up` with pid {holder.pid}$"), held(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_what_a_killed_holder_left_behind_is_waited_for(tmp_path: Path) -> None:
    holder = _holder(tmp_path, "0.5")
    holder.kill()
    holder.wait()
    with held(tmp_path):
        assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_was_let_go_is_free(tmp_path: Path) -> None:
    for _ in range(2):
        with held(tmp_path):
            pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    # A file in the way stops even root.
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CommandFailed, match=r"cannot be written \(Not a directory\): .* --data-dir"), held(file / "x"):
        pass


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    secret = kept_secret(tmp_path / "token")
    assert len(secret) >= 40
    assert kept_secret(tmp_path / "token") == secret
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_a_private_file_becomes_private_when_it_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
