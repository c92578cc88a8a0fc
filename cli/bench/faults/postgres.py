"""A Postgres that can be killed: set up by the wheel, then run as a child of the bench's own."""

import os
import pwd
import subprocess
import time
from pathlib import Path

from cli.bench.parts import postgres_wheel
from cli.errors import CommandFailed
from wire.text import visible

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class Postgres:
    """A server on the data in a folder, reached by a socket there."""

    def __init__(self, folder: Path) -> None:
        """Make the data, and start. Raises CommandFailed."""
        wheel = postgres_wheel()
        self._data = folder / "data"
        self._data.mkdir()
        self._log = folder / "postgres.log"
        self._log.touch()
        # It makes the system's user that Postgres runs as under root, which it refuses itself.
        made = wheel.PostgresServer(self._data)
        self.url: str = made.get_uri()
        socket_folder = made.get_postmaster_info().socket_dir
        made.cleanup()
        server = Path(wheel.__file__).parent / "pginstall" / "bin" / "postgres"
        # Little WAL is kept, so that a small disk holds it.
        settings = ("max_wal_size=64MB", "min_wal_size=32MB", "listen_addresses=")
        options = [word for setting in settings for word in ("-c", setting)]
        self._command = [str(server), "-D", str(self._data), "-k", str(socket_folder), *options]
        self._user = pwd.getpwuid(self._data.stat().st_uid)
        self.start()

    def start(self) -> None:
        """Start it where it does not run, and wait until it takes connections. Raises CommandFailed."""
        deadline = time.monotonic() + _START_SECONDS
        self._spawn()
        while not self._is_ready():
            if self.process.poll() is not None:
                # What the killed one left behind is still ending, or there was no room.
                time.sleep(0.1)
                self._spawn()
            if time.monotonic() > deadline:
                last = visible(self._log.read_text(errors="replace")[-500:], 500)
                raise CommandFailed(f"Postgres does not start again: {last}")
            time.sleep(0.02)

    def is_running(self) -> bool:
        """Say whether its first process is there."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill its first process; the others see that and end."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it, whoever is connected."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _spawn(self) -> None:
        root = os.geteuid() == 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=self._user.pw_uid if root else None,
                group=self._user.pw_gid if root else None,
                extra_groups=[] if root else None,
            )

    def _is_ready(self) -> bool:
        # Its eighth line says so (PostgreSQL's src/include/utils/pidfile.h).
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"
