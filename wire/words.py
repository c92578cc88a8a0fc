"""Numbers, times and names as a sentence says them. Times are UTC; what a host chose stands in backticks."""

import math
from datetime import UTC, datetime

from wire.text import visible

_LONGEST_NAME = 60
_LAST_SECOND = 253_402_300_799.0
"""Of the year 9999: no later time can be written."""
_DAY_SECONDS = 86400
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def quoted(name: str) -> str:
    """Return a name that a host chose, cut and with nothing in it that could pass for more than a name."""
    shown = visible(name, _LONGEST_NAME).replace("`", "'")
    # Escaped, each character takes up to ten.
    return f"`{shown if len(shown) <= 2 * _LONGEST_NAME else shown[: 2 * _LONGEST_NAME] + '…'}`"


def percent(value: float) -> str:
    """Return 97 % or 96.8 %."""
    return f"{number(value, 1)} %"


def number(value: float, digits: int = 2) -> str:
    """Return a number with at most so many decimals, and with commas in large ones."""
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def size(value: float) -> str:
    """Return a size in bytes as 512 B or 3.1 GiB."""
    unit = 0
    while value >= 1023.95 and unit < len(_SIZES) - 1:
        value /= 1024
        unit += 1
    return f"{number(value, 1)} {_SIZES[unit]}"


def duration(seconds: float) -> str:
    """Return 40 s, 12 min, 3 h 5 min or 12 d 4 h; of no time at all 0 s."""
    whole = max(0, round(seconds)) if math.isfinite(seconds) else 0
    if whole < 120:
        return f"{whole} s"
    for large, small, large_unit, small_unit in ((86400, 3600, "d", "h"), (3600, 60, "h", "min")):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {large_unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole // 60} min"


def clock(moment: float, reference: float) -> str:
    """Return 10:02, with the date where that is not the day of ``reference``."""
    if not (0 <= moment <= _LAST_SECOND and 0 <= reference <= _LAST_SECOND):
        return "an unknown time"
    if moment // _DAY_SECONDS == reference // _DAY_SECONDS:
        hour, minute = divmod(int(moment % _DAY_SECONDS) // 60, 60)
        return f"{hour:02}:{minute:02}"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"
