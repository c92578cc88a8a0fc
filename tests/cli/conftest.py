"""One ``up`` for all commands that ask for scripts."""

from collections.abc import Iterator

import pytest

from tests.system.all_in_one import Up, running_up


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data") as up:
        yield up
