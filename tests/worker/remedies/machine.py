"""A machine of its own to try fixes on: a real systemd with its journal, in namespaces."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.system.all_in_one import wait_until

_SCRIPT = Path(__file__).with_name("machine.sh")
_SYSTEMD = Path("/lib/systemd/systemd")
_TARGET = "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\nAfter=systemd-journald.service\n"


@dataclass(frozen=True)
class Machine:
    """One that runs."""

    pid: int
    """Of its pid 1, as the host sees it."""
    units: Path
    """The folder that it reads its units from."""

    @property
    def inside(self) -> list[str]:
        """The command that runs another one on this machine."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup"]

    def run(self, *command: str) -> str:
        """Run a command on this machine and return what it prints, whether it succeeds or not."""
        return subprocess.run([*self.inside, *command], capture_output=True, text=True, timeout=30).stdout.strip()

    def add_service(self, name: str, command: str, *more: str, unit: tuple[str, ...] = ()) -> str:
        """Add a service that runs this line of shell, and return its name."""
        lines = [
            "[Unit]",
            "DefaultDependencies=no",
            *unit,
            "[Service]",
            f'ExecStart=/bin/bash -c "{command}"',
            *more,
        ]
        (self.units / name).write_text("\n".join(lines) + "\n")
        return name

    def property_of(self, service: str, name: str) -> str:
        """Return a property of a unit as systemd has it."""
        return self.run("systemctl", "show", f"--property={name}", "--value", service)

    def logged(self) -> list[str]:
        """Return what fixes wrote to the system's log, line by line."""
        return self.run("journalctl", "--identifier=fleetmedic", "--output=cat", "--quiet").splitlines()


def _skip(reason: str) -> None:
    pytest.skip(f"no systemd in a namespace: {reason}")


@contextmanager
def running_machine(folder: Path, root: Path) -> Iterator[Machine]:
    """Run a machine that sees ``folder`` and has ``root`` for its own, until the block ends."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        _skip("needs root and unshare(1)")
    if not _SYSTEMD.exists():
        _skip("apt-get install systemd")
    units = folder / "units"
    units.mkdir()
    (units / "test.target").write_text(_TARGET)
    # Ends with the tests, also when those are killed.
    command = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "bash", str(_SCRIPT)]
    process = subprocess.Popen([*command, "start", root, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    group = process.stdout.readline().decode().strip()
    try:
        if not group:
            _skip(process.communicate()[1].decode().strip())
        wait_until(lambda: process.poll() is not None or psutil.Process(process.pid).children() != [])
        children = psutil.Process(process.pid).children() if process.poll() is None else []
        if not children:
            _skip(process.communicate()[1].decode().strip())
        machine = Machine(children[0].pid, units)
        wait_until(
            lambda: process.poll() is not None or machine.run("systemctl", "is-active", "test.target") == "active"
        )
        if process.poll() is not None:
            _skip(process.communicate()[1].decode().strip())
        yield machine
    finally:
        process.kill()
        process.communicate()
        if group:
            subprocess.run(["unshare", "--mount", "bash", str(_SCRIPT), "remove", root, group], check=True)
