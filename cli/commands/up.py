"""``fleetmedic up``: all of it on one machine, started together and stopped together."""

import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from contextlib import suppress

from cli.arguments import DEFAULT_PORT, add_data_dir, interval, port
from cli.errors import CommandFailed
from cli.loading import loading
from wire.config import MAXIMUM_INTERVAL_SECONDS, MINIMUM_INTERVAL_SECONDS
from wire.environment import data_dir, number

_USUAL_INTERVAL_SECONDS = 5.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data_dir(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address that API and Redis listen on (default: %(default)s, this machine)"
    )
    parser.add_argument(
        "--port", type=port, default=DEFAULT_PORT, metavar="P", help="of the API (default: %(default)s)"
    )
    parser.add_argument(
        "--interval",
        type=interval,
        metavar="S",
        help=f"seconds between two snapshots of this machine (default: FLEETMEDIC_INTERVAL, "
        f"else {_USUAL_INTERVAL_SECONDS:g})",
    )
    parser.add_argument(
        "--redis-port", type=port, metavar="R", help="of Redis (default: the one it had here before, else 16379)"
    )


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Run until a signal; return 0 when all parts were stopped."""
    if os.name != "posix":
        raise CommandFailed("`fleetmedic up` runs on Linux and macOS; on Windows there is `fleetmedic collector`")
    with loading():
        from cli.all_in_one import Plan, serve
        from cli.data_folder import held
        from cli.ports import check_free
        from cli.server_file import remove_server_file
        from cli.supervisor import Supervisor

    say = _speaker()
    given = dict(environment)
    if arguments.data_dir is not None:
        given["FLEETMEDIC_DATA_DIR"] = arguments.data_dir
    folder = data_dir(given)
    given["FLEETMEDIC_DATA_DIR"] = str(folder)
    pace = arguments.interval or number(
        given, "FLEETMEDIC_INTERVAL", _USUAL_INTERVAL_SECONDS, MINIMUM_INTERVAL_SECONDS, MAXIMUM_INTERVAL_SECONDS
    )
    plan = Plan(folder, given, arguments.host, arguments.port, arguments.redis_port, pace)
    # The files hold keys; the children inherit this.
    os.umask(0o077)
    with held(folder) as lock:
        say(f"data folder {folder}")
        check_free(arguments.host, arguments.port, "--port")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Under nohup it is ignored, and stays so.
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, signal.default_int_handler)
        try:
            with Supervisor(say, lock) as supervisor:
                try:
                    serve(plan, supervisor, say)
                except KeyboardInterrupt:
                    say("stopping")
        finally:
            remove_server_file(folder)
    say("stopped")
    return 0


def _speaker() -> Callable[[str], None]:
    """Return what prints a line with the seconds since now."""
    began = time.monotonic()

    def say(text: str) -> None:
        # The terminal may be gone: no reason to leave the parts alone.
        with suppress(OSError):
            print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    return say
