"""What the server wants of this collector, remembered on disk: a restart while Redis is down stays paused."""

import logging
from pathlib import Path

from wire.config import HostConfig, decode_config
from wire.text import visible

log = logging.getLogger(__name__)


class DesiredConfig:
    """The latest config of this host. ``config`` may be read from any thread."""

    def __init__(self, file: Path) -> None:
        """Start with what ``file`` remembers, or with a config that asks for nothing."""
        self._file = file
        self._value = b""
        self.config = HostConfig()
        try:
            remembered = file.read_bytes()
            self.config = decode_config(remembered)
            self._value = remembered
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read, the server will say it again: %s", file, visible(str(error)))

    def update(self, value: bytes | None) -> bool:
        """Take the value of the host's config key, and say whether it is news. None (not published) changes nothing."""
        if value is None or value == self._value:
            return False
        self._value = value
        try:
            self.config = decode_config(value)
        except ValueError as error:
            log.warning("the server's config cannot be used, the one before stays: %s", visible(str(error)))
            return False
        try:
            temporary = self._file.with_name(self._file.name + ".new")
            temporary.write_bytes(value)
            temporary.replace(self._file)
        except OSError as error:
            log.warning("the server's config cannot be remembered for a restart: %s", visible(str(error)))
        return True
