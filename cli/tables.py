"""Text for terminals: aligned tables, and values the way people read them."""

from collections.abc import Sequence
from datetime import datetime

from wire.text import visible


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Return the rows under their header, columns aligned; ``right`` names the columns of numbers.

    Every cell goes through ``visible``: what a host sent cannot steer the terminal.
    """
    cells = [list(header), *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def percent(value: float | None) -> str:
    """Return a percentage, a dash where there is none."""
    return "-" if value is None else f"{value:.1f} %"


def ago(moment: str | None, now: float) -> str:
    """Return how long ago an RFC 3339 time was, ``never`` where there is none."""
    if moment is None:
        return "never"
    seconds = max(now - datetime.fromisoformat(moment).timestamp(), 0.0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def local_time(moment: str) -> str:
    """Return an RFC 3339 time as this machine's clock shows it, to the second."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
