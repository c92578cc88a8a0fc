"""Values as a host might choose them to become code, made by a seed so that a failure comes again."""

import random

CANARY = "canary"
"""The file that each would make if any of it ran."""

_MADE = f"touch {CANARY}"
_PIECES = (
    *("'", '"', "''", '""', "\u2018", "\u2019", "\u201a", "\u201b", "\u201c", "\u201d", "\u201e"),
    *(f"$({_MADE})", f"`{_MADE}`", f"'; {_MADE}; '", f'"; {_MADE}; "', f"\u2019; New-Item {CANARY}; \u2018"),
    *(
        f"\n{_MADE}\n",
        f"\r\n{_MADE}\r\n",
        f"; {_MADE} #",
        f"| {_MADE}",
        f"& {_MADE} &",
        f"<({_MADE})",
        f"a[$({_MADE})]",
    ),
    *("\n", "\r", "\r\n", "\0", "\t", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202egpj.exe"),
    *("-", "--", "-rf", "--help", "-Force", "\u2013Force", "\u2014", "%", "%s", "%n%n", "100%", "%SystemRoot%"),
    *(
        "$HOME",
        "${HOME}",
        "$env:PATH",
        "$FM_PID",
        "$'\\x27'",
        "\\",
        "\\'",
        "\\\\",
        "`n",
        "`0",
        "!!",
        "~",
        "*",
        "../..",
        "/",
    ),
    *("<#", "#>", "@'\n", "\n'@", "@{}", "@()", "[char]7", "-join", "# fleetmedic: values", "\n# fleetmedic: values\n"),
    *(" ", "", "0", "1", "\u00e9", "\u0130", "\u212a", "\U0001f525", "e\u0301"),
)
_LONG = 10_000


def hostile_values() -> list[str]:
    """Return 400 values, all different."""
    choose = random.Random(6)
    values = dict.fromkeys(_PIECES)
    values.update(dict.fromkeys(f"{piece}x{piece}" for piece in _PIECES if piece))
    while len(values) < 380:
        values["".join(choose.choices(_PIECES, k=choose.randint(2, 6)))] = None
    while len(values) < 400:
        values[(choose.choice(_PIECES) or "y") * _LONG] = None
    return [value[:_LONG] for value in values]
