"""Parts for the tests of fixes."""

from collections.abc import Iterator

import pytest

from tests.worker.remedies.machine import Machine, running_machine


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a real systemd that the whole session shares; it sees the folders of the tests."""
    with running_machine(tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("root")) as machine:
        yield machine
