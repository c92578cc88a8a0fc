"""The ``fleetmedic`` command: finds the subcommand, runs it, and turns failures into one line each.

A subcommand is a module with ``add_arguments(parser)`` and ``run(arguments, environment) -> exit code``. Only the one
that is asked for is imported: ``fleetmedic collector`` has to work where nothing of the server is installed.
"""

import argparse
import importlib
import os
import sys
from importlib.util import find_spec

from cli.errors import CommandFailed
from wire.environment import SettingError, with_secrets

COMMANDS = {
    "up": "run all of it on this machine: Redis, database, worker, API and a collector",
    "collector": "watch this host and push what it measures to the server",
    "worker": "take in what the collectors push",
    "api": "serve the JSON API",
    "db": "bring the database to this version (db upgrade)",
    "enroll": "let a new host in, and print the command to run there",
    "link": "print a link to the page that lets one browser in",
    "hosts": "list the hosts, how they are and what they measure",
    "events": "list what went wrong; --follow prints what comes",
    "script": "write the script that fixes something, for a host or an event",
    "verify": "tell whether a file is a script of ours, and unchanged",
    "bench": "measure this machine with real parts and a simulated fleet",
    "doctor": "check what a server needs on this machine",
}

# All but these need the extra `server`, of which SQLAlchemy stands for the whole.
_IN_BASE_PACKAGE = frozenset(("collector", "hosts", "events", "script", "verify"))


def main(arguments: list[str] | None = None) -> int:
    """Run ``fleetmedic`` with these arguments (default: those of the process) and return its exit code.

    0 is success, 1 a failure that one line on stderr explains, 2 wrong usage.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(given)
    except (CommandFailed, SettingError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read the output wants no more of it (`fleetmedic hosts | head`); nothing may complain about that at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(message: str) -> int:
    print(f"fleetmedic: {message}", file=sys.stderr)
    return 1


def _run(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="fleetmedic", description="Watches a fleet of machines. `fleetmedic COMMAND --help` tells more."
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    asked = next((argument for argument in given if not argument.startswith("-")), None)
    for name, help_line in COMMANDS.items():
        command = subparsers.add_parser(name, help=help_line, description=help_line[0].upper() + help_line[1:] + ".")
        if name == asked:
            if name not in _IN_BASE_PACKAGE and find_spec("sqlalchemy") is None:
                raise CommandFailed(f"`fleetmedic {name}` needs the server: pip install 'fleetmedic[server]'")
            module = importlib.import_module(f"cli.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(given)
    if parsed.version:
        # Not above: reading package metadata costs every collector some megabytes.
        from importlib.metadata import version

        print(f"fleetmedic {version('fleetmedic')}")
        return 0
    if parsed.command is None:
        parser.print_help()
        return 0
    code: int = parsed.run(parsed, with_secrets(os.environ))
    return code


if __name__ == "__main__":
    sys.exit(main())
