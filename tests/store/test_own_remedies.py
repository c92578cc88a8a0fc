"""The remedies that users add, published by workers that have the same folder and by some that have others."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from store import own_remedies, remedies
from store.engine import reading, writing
from store.own_remedies import Fault, Found, Origin
from store.remedies import Remedy, ScriptType

NOW = 1_800_000_000.0
HERE, THERE = Origin("here", "/data/remedies"), Origin("there", "/data/remedies")


def remedy(name: str = "mine", **changes: Any) -> Remedy:
    fields = {"title": "Mine", "description": "Does it.", "version": "1.0.0", "events": (), "risk": "low"}
    return msgspec.convert({"issue_type": name, "requires_admin": False, **fields, **changes}, Remedy)


def good(name: str = "mine", text: str = "bash", folder: str = "/data/remedies", **changes: Any) -> Found:
    document = msgspec.to_builtins(remedy(name, source=f"{folder}/{name}", **changes))
    return Found(name, f"{folder}/{name}", document, {"bash": text})


def publish(engine: Engine, origin: Origin, *found: Found, at: float = NOW) -> None:
    with writing(engine) as connection:
        own_remedies.publish(connection, origin, found, at)


def in_force(engine: Engine) -> dict[str, dict[ScriptType, str]]:
    """Return the scripts of the remedies that are in force, by name."""
    with reading(engine) as connection:
        return {name: scripts for name, (_, scripts) in remedies.own(connection).items()}


def faults(engine: Engine) -> list[Fault]:
    with reading(engine) as connection:
        return own_remedies.faults(connection)


def stamp(engine: Engine) -> list[tuple[str, str]]:
    with reading(engine) as connection:
        return own_remedies.stamp(connection)


def test_what_is_published_takes_the_place_of_what_was_there(engine: Engine) -> None:
    publish(engine, HERE, good("first"), good("second"))
    publish(engine, HERE, good("second", "new"), good("third"))
    assert in_force(engine) == {"second": {"bash": "new"}, "third": {"bash": "bash"}}
    publish(engine, HERE)
    assert in_force(engine) == {}


def test_a_bad_one_is_named_and_not_in_force(engine: Engine) -> None:
    publish(engine, HERE, good())
    publish(engine, HERE, Found("mine", "/data/remedies/mine", fault="fix.sh: it is broken"))
    assert in_force(engine) == {}
    assert faults(engine) == [Fault("/data/remedies/mine", "fix.sh: it is broken")]


def test_folders_with_other_remedies_do_not_touch_each_other(engine: Engine) -> None:
    publish(engine, HERE, good("mine"))
    publish(engine, THERE, good("yours"))
    publish(engine, HERE, good("mine"))
    assert in_force(engine).keys() == {"mine", "yours"}


def test_of_two_with_one_name_the_one_that_changed_last_is_in_force_however_often_both_are_published(
    engine: Engine,
) -> None:
    publish(engine, HERE, good(text="here"), at=NOW)
    publish(engine, THERE, good(text="there"), at=NOW + 1)
    for turn in range(3):
        publish(engine, HERE, good(text="here"), at=NOW + 60 * turn)
        publish(engine, THERE, good(text="there"), at=NOW + 60 * turn)
        assert in_force(engine) == {"mine": {"bash": "there"}}
    (outdone,) = faults(engine)
    assert outdone.folder == "/data/remedies/mine"
    assert outdone.fault.startswith("on here: /data/remedies/mine on there is another remedy of this name")


def test_the_same_remedy_on_two_machines_is_one_wherever_it_lies(engine: Engine) -> None:
    publish(engine, HERE, good(folder="/data/remedies"))
    publish(engine, THERE, good(folder="/srv/remedies"), at=NOW + 1)
    assert in_force(engine).keys() == {"mine"}
    assert faults(engine) == []


def test_a_broken_one_elsewhere_does_not_outdo_a_good_one(engine: Engine) -> None:
    publish(engine, HERE, good())
    publish(engine, THERE, Found("mine", "/data/remedies/mine", fault="broken"), at=NOW + 1)
    assert in_force(engine).keys() == {"mine"}


def test_the_stamp_is_another_one_when_what_is_in_force_is_and_only_then(engine: Engine) -> None:
    stamps = [stamp(engine)]
    publish(engine, HERE, good(text="first"))
    stamps.append(stamp(engine))
    publish(engine, HERE, good(text="second"))
    stamps.append(stamp(engine))
    publish(engine, THERE, good(text="third"), at=NOW + 1)
    stamps.append(stamp(engine))
    publish(engine, HERE, good(text="second"), at=NOW + 2)
    assert stamp(engine) == stamps[-1]
    assert all(one != other for one, other in pairwise(stamps))


def test_what_nobody_has_seen_for_long_is_forgotten(engine: Engine) -> None:
    publish(engine, HERE, good("mine"))
    publish(engine, THERE, good("yours"))
    publish(engine, THERE, good("yours"), at=NOW + 100)
    with writing(engine) as connection:
        own_remedies.forget_unseen(connection, NOW + 50)
    assert in_force(engine).keys() == {"yours"}


def test_what_another_version_published_is_left_out(engine: Engine) -> None:
    publish(engine, HERE, good("mine"), Found("theirs", "/data/remedies/theirs", {"shape": "new"}, {"bash": ""}))
    assert in_force(engine).keys() == {"mine"}


def test_a_name_that_two_folders_seem_to_have_is_published_once(engine: Engine) -> None:
    bad = Found("a\\x00", "/data/remedies/a", fault="bad")
    publish(engine, HERE, bad, bad)
    assert len(faults(engine)) == 1


@pytest.mark.parametrize(
    ("known", "answering"),
    [
        ([remedy("disk", events=("e",)), remedy("mine", events=("e",), source="/f")], "mine"),
        ([remedy("disk", events=("e",)), remedy("mine", events=("e",), source="/f", script_types=("bash",))], "disk"),
        ([remedy("mine", events=("e",), source="/f", script_types=("bash",))], "mine"),
        ([remedy("b", events=("e",), source="/f"), remedy("a", events=("e",), source="/f")], "a"),
    ],
)
def test_an_event_is_answered_by_ones_own_remedy_where_it_has_scripts_for_every_platform(
    known: list[Remedy], answering: str
) -> None:
    assert remedies.by_event(known)["e"].issue_type == answering
    assert remedies.by_event(reversed(known))["e"].issue_type == answering
