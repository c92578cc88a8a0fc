"""``bench collector``, short, with all of its real parts; in place of node_exporter something that is scraped alike."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.bench.cpu import precise_cpu_seconds
from cli.bench.node_exporter import find_node_exporter, running_node_exporter, version_of
from cli.errors import CommandFailed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the clock of another process is Linux' own")

STAND_IN = f"""#!{sys.executable}
import http.server, sys
if "--version" in sys.argv:
    sys.exit(print("node_exporter, version 9.8.7 (branch: none)"))
class Metrics(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
host, port = sys.argv[1].removeprefix("--web.listen-address=").split(":")
http.server.HTTPServer((host, int(port)), Metrics).serve_forever()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, unlike pytest's: the path of a Unix socket has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        yield Path(folder)


@pytest.fixture
def exporter(folder: Path) -> Path:
    """A program that is found and scraped as node_exporter is."""
    program = folder / "bin" / "node_exporter"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    # Debian's name comes first, and may be installed here.
    (program.parent / "prometheus-node-exporter").symlink_to(program)
    return program


def test_it_measures_the_collector_beside_node_exporter(exporter: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "bench", "collector", "--seconds", "1", "--processes", "20", "--json"],
        env={**os.environ, "TMPDIR": str(folder), "PATH": f"{exporter.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert figures["collections"] >= 1
    assert figures["cpu_ms_per_collection"] > 0
    assert 1 < figures["pss_mb"] <= figures["rss_mb"]
    assert figures["processes"] > 20
    peer = figures["node_exporter"]
    assert (peer["version"], peer["scrapes"] >= 1, peer["cpu_ms_per_scrape"] > 0) == ("9.8.7", True, True)
    assert 1 < peer["pss_mb"] <= peer["rss_mb"]
    left = [one.info["cmdline"] for one in psutil.process_iter(["cmdline"]) if str(folder) in str(one.info["cmdline"])]
    assert (left, list(folder.glob("fleetmedic-bench-*"))) == ([], [])


def test_where_node_exporter_is_not_installed_there_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert find_node_exporter() is None


def test_a_node_exporter_that_does_not_start_is_told_of_with_what_it_said(folder: Path, exporter: Path) -> None:
    exporter.write_text(f"#!{sys.executable}\nraise SystemExit('no such flag')\n")
    with (
        pytest.raises(CommandFailed, match=r"node_exporter does not answer: .*; it said: no such flag"),
        running_node_exporter(str(exporter), folder / "log"),
    ):
        pass
    assert version_of(str(exporter)) == ""


def test_cpu_of_every_thread_counts_also_of_one_that_ended() -> None:
    code = """if True:
        import threading, time
        def burn():
            while time.thread_time() < 0.1: pass
        thread = threading.Thread(target=burn)
        thread.start()
        thread.join()
        print(flush=True)
        input()
    """
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = precise_cpu_seconds(process.pid)
        process.communicate(b"\n")
    assert used >= 0.1
    with pytest.raises((OSError, psutil.NoSuchProcess)):
        precise_cpu_seconds(process.pid)
