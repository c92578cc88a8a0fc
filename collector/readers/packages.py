"""When the host's packages last changed: the age of what its package manager writes with every change."""

from pathlib import Path

from collector.readers import Part

# One a package manager, in the order in which they are looked for; where two are there, the first is the system's own.
_DATABASES = (
    "/var/lib/dpkg/status",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages",
    "/var/lib/pacman/local",
    "/usr/lib/apk/db/installed",
    "/lib/apk/db/installed",
    "/Library/Receipts/InstallHistory.plist",
)


class Packages:
    """The host's package database."""

    def __init__(self, root: str = "") -> None:
        """``root`` is where the host's root is mounted, for a collector in a container; empty for its own."""
        paths = (Path(root + path) for path in _DATABASES)
        self._database = next((path for path in paths if path.exists()), None)

    def read(self, at: float) -> Part:
        """Return when the packages last changed; nothing where no database was found when this object was made."""
        if self._database is None:
            return Part({})
        return Part({}, {"packages_changed_at": self._database.stat().st_mtime})
