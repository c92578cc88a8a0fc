"""The API as a process of its own, started as the command line does."""

import os
import subprocess
import sys
import urllib.request

import pytest

TOKEN = "secret"


class Served:
    """A process that serves the API, or is about to, or cannot."""

    def __init__(self, port: int, host: str, environment: dict[str, str]) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "api", "--host", host, "--port", str(port)],
            env=os.environ | {"FLEETMEDIC_ADMIN_TOKEN": TOKEN} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_line(self, part: str) -> str:
        """Wait until it says something on stderr, and return the line."""
        assert self.process.stderr
        for line in self.process.stderr:
            if part in line:
                return line
        pytest.fail(f"the API never said {part!r}")

    def last_words(self) -> str:
        """Wait until it ends, and return what it still said on stderr."""
        return self.process.communicate(timeout=20)[1]

    def get(self, path: str) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr
        self.process.stderr.close()
