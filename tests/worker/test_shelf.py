"""The remedies that a process of a worker can render: those that users added come and go while it works."""

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import Engine, event

from store import own_remedies, scripts
from store.engine import reading, writing
from store.own_remedies import Found, Origin
from tests.worker.conftest import NOW, SimulatedHost
from wire.keys import SHARDS
from wire.snapshot import Details, Filesystem
from worker.inbox import Inbox
from worker.ingest import drain
from worker.remedies.shelf import Shelf
from worker.remedies.templates import Template, load_all
from worker.script_jobs import remedy_of, render_jobs

BUILT_IN = load_all()
ORIGIN = Origin("here", "/data/remedies")


def own(template: Template, name: str, **changes: object) -> Found:
    """Return a remedy of this name that a user made of a built-in one."""
    remedy = msgspec.structs.replace(template.remedy, issue_type=name, source=f"/data/remedies/{name}", **changes)
    return Found(
        name, remedy.source, msgspec.to_builtins(remedy), {str(kind): text for kind, text in template.scripts.items()}
    )


@pytest.fixture
def publish(engine: Engine) -> Callable[..., None]:
    def publish(*found: Found) -> None:
        with writing(engine) as connection:
            own_remedies.publish(connection, ORIGIN, found, 1.8e9)

    return publish


def test_what_users_added_stands_beside_what_is_built_in_as_long_as_it_is_published(
    engine: Engine, publish: Callable[..., None]
) -> None:
    shelf = Shelf(engine, BUILT_IN)
    assert shelf.templates() == BUILT_IN
    publish(own(BUILT_IN["disk_full"], "mine"))
    assert shelf.templates()["mine"].scripts == BUILT_IN["disk_full"].scripts
    publish(own(BUILT_IN["cpu_high"], "mine"))
    assert shelf.templates()["mine"].scripts == BUILT_IN["cpu_high"].scripts
    publish()
    assert shelf.templates() == BUILT_IN


def test_a_drain_sees_what_users_added_within_a_second_and_looks_no_more_often(
    engine: Engine, publish: Callable[..., None]
) -> None:
    shelf = Shelf(engine, BUILT_IN)
    assert shelf.recent(NOW) == BUILT_IN
    publish(own(BUILT_IN["disk_full"], "mine"))
    assert "mine" not in shelf.recent(NOW + 0.9)
    assert "mine" in shelf.recent(NOW + 1.0)
    publish()
    assert "mine" not in shelf.recent(NOW - 3600)


def test_what_is_built_in_is_never_replaced(engine: Engine, publish: Callable[..., None]) -> None:
    publish(own(BUILT_IN["cpu_high"], "disk_full"))
    assert Shelf(engine, BUILT_IN).templates() == BUILT_IN


def test_events_are_answered_by_what_users_added_for_them(engine: Engine, publish: Callable[..., None]) -> None:
    publish(own(BUILT_IN["disk_full"], "mine", events=("disk_full", "host_down")))
    answers = remedy_of(Shelf(engine, BUILT_IN).templates())
    assert (answers["disk_full"], answers["host_down"], answers["disk_forecast"]) == ("mine", "mine", "disk_full")


def test_an_event_fills_in_the_parameters_of_what_a_user_added_for_it(
    engine: Engine, inbox: Inbox, host: SimulatedHost, publish: Callable[..., None]
) -> None:
    publish(own(BUILT_IN["disk_full"], "mine"))
    shelf = Shelf(engine, BUILT_IN)
    full = Filesystem("/data", "/dev/sdb", "ext4", 1e9, 0.99e9, 99.0)
    for moment in (NOW - 20, NOW - 10):
        host.report(moment, Details(filesystems=(full,), platform="linux"), disk_percent=99.0)
    (job,) = drain(engine, inbox, range(SHARDS), 4000, lambda: NOW, remedy_of(shelf.templates())).script_jobs
    render_jobs(engine, shelf.templates(), [job], NOW)
    with reading(engine) as connection:
        script = scripts.find(connection, job)
    assert script is not None
    assert (script.issue_type, script.state, (script.parameters or {})["mount"]) == ("mine", "ready", "/data")


def test_scripts_are_read_again_only_where_something_changed(engine: Engine, publish: Callable[..., None]) -> None:
    shelf = Shelf(engine, BUILT_IN)
    publish(own(BUILT_IN["disk_full"], "mine"))
    shelf.templates()
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    shelf.templates()
    assert statements
    assert not [statement for statement in statements if "scripts" in statement]
