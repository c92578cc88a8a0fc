"""The watch over the folder of own remedies: what changes there is published, once, and whole."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from store.own_remedies import Found
from worker.remedies.watch import Watch


class Published(list[dict[str, str | None]]):
    """Takes what is published, as the faults by name; or fails as often as it is told to."""

    outages = 0

    def take(self, found: Sequence[Found]) -> None:
        if self.outages:
            self.outages -= 1
            raise OperationalError("", {}, Exception("the database is away"))
        self.append({one.name: one.fault for one in found})


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def watch(tmp_path: Path, published: Published) -> Watch:
    return Watch(tmp_path / "remedies", (), published.take)


def add(folder: Path, name: str) -> Path:
    """Add something that is no remedy: it costs nothing to examine."""
    (folder / "remedies" / name).mkdir(parents=True)
    return folder / "remedies" / name


NO_TOML = "remedy.toml: there is no such file"


def test_where_there_is_no_folder_nothing_is_published_once(watch: Watch, published: Published) -> None:
    for now in range(200):
        watch.look(now)
    assert published == [{}]


def test_what_is_added_and_removed_is_published_once_each(tmp_path: Path, watch: Watch, published: Published) -> None:
    for now in range(3):
        watch.look(now)
    added = add(tmp_path, "one")
    for now in range(3, 6):
        watch.look(now)
    added.rmdir()
    for now in range(6, 9):
        watch.look(now)
    assert published == [{}, {"one": NO_TOML}, {}]


def test_what_is_still_being_written_waits_for_its_end(tmp_path: Path, watch: Watch, published: Published) -> None:
    folder = add(tmp_path, "one")
    for number, file in enumerate(("remedy.toml", "fix.sh", "fix.ps1")):
        watch.look(number)
        (folder / file).write_text(f"# {number}\n")
    watch.look(3)
    assert published == []
    watch.look(4)
    assert [list(names) for names in published] == [["one"]]


def test_a_file_that_is_written_anew_with_as_many_bytes_is_examined_anew(
    tmp_path: Path, watch: Watch, published: Published
) -> None:
    toml = add(tmp_path, "one") / "remedy.toml"
    for number, text in enumerate(("a = 1\n", "b = 1\n")):
        toml.write_text(text)
        watch.look(2 * number)
        watch.look(2 * number + 1)
    assert len(published) == 2


def test_what_is_there_is_published_again_now_and_then(tmp_path: Path, watch: Watch, published: Published) -> None:
    add(tmp_path, "one")
    for now in range(130):
        watch.look(now)
    assert published == [{"one": NO_TOML}] * 3


def test_a_bad_one_is_examined_again_after_a_while_and_a_good_one_is_not(
    tmp_path: Path, watch: Watch, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "bad")
    add(tmp_path, "good")
    faults = {"bad": ["the machine is too busy", None], "good": [None]}
    monkeypatch.setattr(
        "worker.remedies.watch.examine",
        lambda folder, _: Found(folder.name, str(folder), fault=faults[folder.name].pop(0)),
    )
    for now in range(0, 1300, 10):
        watch.look(now)
    assert published[0] == {"bad": "the machine is too busy", "good": None}
    assert published[-1] == {"bad": None, "good": None}


def test_a_database_that_is_away_is_tried_again_and_named_once(
    tmp_path: Path, watch: Watch, published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    add(tmp_path, "one")
    published.outages = 3
    for now in range(5):
        watch.look(now)
    assert published == [{"one": NO_TOML}]
    assert caplog.text.count("own remedies are published later") == 1


def test_the_log_names_a_bad_one_with_its_fault_once(
    tmp_path: Path, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = add(tmp_path, "one")
    for now in range(100):
        watch.look(now)
    assert caplog.text.count(f"own remedy {folder} is left out: {NO_TOML}") == 1
