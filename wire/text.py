"""Text that a host sent is hostile text: how it is stored and how it is shown to a terminal or in a log."""

import unicodedata

MAX_TEXT = 1024


def storable(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text as every database takes it: no NUL, no lone surrogate, at most ``limit`` characters.

    Nothing else is changed, since a mount or a service must stay the one it names.
    """
    text = text[:limit]
    # Nearly all of it, and there is much of it.
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def visible(text: str, limit: int = 200) -> str:
    """Return the text on one line with every control, format and surrogate character escaped.

    So a name can neither steer a terminal, forge a log line, nor turn the reading direction.
    """
    shown = text[:limit]
    # Printable text has no character that is to be escaped; of the other, some of the spaces are not.
    if not shown.isprintable():
        shown = "".join(map(_escaped, shown))
    return shown + "…" if len(text) > limit else shown


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
