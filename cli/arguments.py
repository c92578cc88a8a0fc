"""Arguments that several subcommands take, and their types."""

import math
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable

from wire.config import MAXIMUM_INTERVAL_SECONDS, MINIMUM_INTERVAL_SECONDS

DEFAULT_PORT = 8080

_MOST_MINUTES = 7 * 24 * 60.0


def add_data_dir(parser: ArgumentParser) -> None:
    """Declare --data-dir, for the commands that look for a running ``up``."""
    parser.add_argument(
        "--data-dir", metavar="D", help="the data folder (default: FLEETMEDIC_DATA_DIR, else the user's own)"
    )


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return an argument type: a whole number within the bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and minimum <= int(text) <= maximum):
            raise ArgumentTypeError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return parse


port = whole_number(1, 65535)


def interval(text: str) -> float:
    """Argument type: the seconds between two snapshots."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not MINIMUM_INTERVAL_SECONDS <= seconds <= MAXIMUM_INTERVAL_SECONDS:
        raise ArgumentTypeError(
            f"{text!r} is not a number of seconds from {MINIMUM_INTERVAL_SECONDS:g} to {MAXIMUM_INTERVAL_SECONDS:g}"
        )
    return seconds


def minutes(text: str) -> float:
    """Argument type: minutes, as many as a week has at most."""
    try:
        given = float(text)
    except ValueError:
        given = math.nan
    if not 0 < given <= _MOST_MINUTES:
        raise ArgumentTypeError(f"{text!r} is not a number of minutes above 0 and up to {_MOST_MINUTES:g}")
    return given
