"""node_exporter, beside which a collector is measured: started as Debian starts it, scraped as Prometheus does."""

import http.client
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import CommandFailed
from cli.ports import free_port
from wire.text import visible

_NAMES = ("prometheus-node-exporter", "node_exporter")
"""What the program is called by Debian, and by everybody else."""
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.05


class NodeExporter:
    """A running node_exporter with its default collectors."""

    def __init__(self, pid: int, port: int) -> None:
        """Use the one that listens on ``port`` of loopback."""
        self.pid = pid
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def scrape(self) -> bytes:
        """Fetch the metrics once; the connection is kept. Raises CommandFailed."""
        try:
            self._connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = self._connection.getresponse()
            metrics = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise CommandFailed(f"node_exporter does not answer: {visible(str(error))}") from None
        if answer.status != 200:
            raise CommandFailed(f"node_exporter answers {answer.status} to a scrape")
        return metrics

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def find_node_exporter() -> str | None:
    """Return the path of the program; None where it is not installed."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def version_of(program: str) -> str:
    """Return what the program says its version is."""
    # Up to version 1.0 it went to stderr.
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    return found[1].rstrip(",") if found else ""


@contextmanager
def running_node_exporter(program: str, log: Path) -> Iterator[NodeExporter]:
    """Start it on a free port of loopback and give it once it answers. Raises CommandFailed."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, f"--web.listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    exporter = NodeExporter(process.pid, port)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                exporter.scrape()
                break
            except CommandFailed as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = visible(log.read_text(errors="replace")[-500:], 500)
                    raise CommandFailed(f"{error}; it said: {said}") from None
            time.sleep(_LOOK_SECONDS)
        yield exporter
    finally:
        exporter.close()
        process.kill()
        process.wait()
