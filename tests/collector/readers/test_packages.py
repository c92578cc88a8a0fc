import os
from pathlib import Path

import pytest

from collector.readers import Part
from collector.readers.packages import Packages


@pytest.mark.parametrize(
    "database",
    ["var/lib/dpkg/status", "usr/lib/sysimage/rpm/rpmdb.sqlite", "lib/apk/db/installed", "var/lib/pacman/local"],
)
def test_packages_changed_when_their_database_was_written(tmp_path: Path, database: str) -> None:
    file = tmp_path / database
    file.parent.mkdir(parents=True)
    file.touch()
    packages = Packages(str(tmp_path))
    for written_at in (1.7e9, 1.8e9):
        os.utime(file, (written_at, written_at))
        assert packages.read(0.0).details == {"packages_changed_at": written_at}


def test_a_host_without_a_package_manager_that_is_known_says_nothing(tmp_path: Path) -> None:
    assert Packages(str(tmp_path)).read(0.0) == Part({})
