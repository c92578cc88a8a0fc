"""Logs of a process: one record is one line, whatever a stranger put into it."""

import logging
from types import TracebackType

from wire.text import visible

_LINE_LENGTH = 4000

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def log_to_stderr(level: int) -> None:
    """Log records of this level and above to stderr, with time and level."""
    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class VisibleFormatter(logging.Formatter):
    """Escapes what could forge a line or steer a terminal (``wire.text.visible``); tracebacks are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Return the record's line."""
        return visible(super().formatMessage(record), _LINE_LENGTH)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - the base class's name
        """Return the lines of a traceback, whose messages may quote anything."""
        return "\n".join("  " + visible(line, _LINE_LENGTH) for line in super().formatException(ei).split("\n"))
