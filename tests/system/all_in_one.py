"""A running ``fleetmedic up`` on a data folder of its own, asked over HTTP and by the command line."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from cli.ports import free_port

FLEETMEDIC = [sys.executable, "-m", "cli.main"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("FLEETMEDIC_")}


def fleetmedic(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FLEETMEDIC, *arguments], env=CLEAN, capture_output=True, text=True, timeout=timeout)


class Up:
    """A running ``up`` and what it printed so far."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        command = [
            *FLEETMEDIC,
            "up",
            "--data-dir",
            str(folder),
            "--interval",
            "1",
            "--port",
            str(free_port()),
            *arguments,
        ]
        self.output = (folder.parent / f"{folder.name}.out").open("w+")
        self.process = subprocess.Popen(command, env=CLEAN | environment, stdout=self.output, stderr=subprocess.STDOUT)

    def said(self) -> str:
        return Path(self.output.name).read_text()

    def wait_for_first_snapshot(self) -> None:
        wait_until(lambda: "first snapshot of" in self.said(), self.said)

    def part(self, name: str) -> psutil.Process:
        """Return the process that leads a part."""
        for child in psutil.Process(self.process.pid).children():
            words = child.cmdline()
            if words[2:4] == ["cli.main", name] or (name == "redis" and "redis-server" in words[0]):
                return child
        raise LookupError(f"no {name} is running")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def server(self) -> dict[str, str]:
        """Return what its ``server.json`` says."""
        return dict(json.loads((self.folder / "server.json").read_text()))

    def run(self, *arguments: str) -> str:
        """Run a ``fleetmedic`` command against it and return what that printed."""
        result = fleetmedic(*arguments, "--data-dir", str(self.folder))
        assert result.returncode == 0, result.stderr
        return result.stdout

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return its hosts by name. Raises OSError while the API is away."""
        status, answer = self.ask("/api/v1/hosts")
        assert status == 200, answer
        return {host["name"]: host for host in answer["items"]}

    def host(self) -> dict[str, Any]:
        """Return this machine, its only host."""
        (host,) = self.hosts().values()
        return host

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Ask the API, with a body by POST; return the status and the JSON answer."""
        server = self.server()
        request = urllib.request.Request(
            server["api_url"] + path,
            data=body,
            headers={
                "Authorization": f"Bearer {server['admin_token']}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def events(self, query: str = "") -> list[dict[str, Any]]:
        """Return its events, the last opened first."""
        status, answer = self.ask(f"/api/v1/events?{query}")
        assert status == 200, answer
        return list(answer["items"])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@contextmanager
def running_up(folder: Path, *arguments: str, **environment: str) -> Iterator[Up]:
    """Run an ``up`` that has its own machine's first snapshot."""
    up = Up(folder, "--redis-port", str(free_port()), *arguments, **environment)
    try:
        up.wait_for_first_snapshot()
        yield up
    finally:
        up.stop()


def wait_until(
    condition: Callable[[], bool], told: Callable[[], str] = lambda: "", seconds: float = 60, every: float = 0.05
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain; so far: {told()}"
        time.sleep(every)
