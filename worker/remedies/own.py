"""The remedies that users add: the folder ``remedies`` of the data folder, read and tried."""

import logging
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from store.own_remedies import Found
from store.policy_types import TYPES
from wire.text import visible
from worker import conduct
from worker.remedies import declaration
from worker.remedies.declaration import BadRemedy
from worker.remedies.syntax import check_bash, check_powershell
from worker.remedies.templates import FILES, Template, load
from worker.remedies.trial import try_bash

log = logging.getLogger(__name__)

FOLDER = "remedies"
"""Its name in the data folder."""

Fingerprint = tuple[tuple[int, ...], ...]

_EVENTS = frozenset({*TYPES, *(kind.type for kind in conduct.KINDS)})
_MOST_FAULT = 500
_NOTHING = (0,)


def fingerprints(folder: Path) -> dict[str, Fingerprint]:
    """Return what tells one state of each remedy in a folder from another, by the name of its own folder.

    What begins with a dot is none, nor is what is no folder. A folder that is not there has none.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return {}
    return {name: tuple(_fingerprint(path) for path in _parts(folder / name)) for name in names}


def examine(folder: Path, built_in: Collection[str]) -> Found:
    """Read and try a remedy that a user added; ``built_in`` are the names of those that come with the product."""
    name, shown = visible(folder.name, limit=255), visible(str(folder), limit=1024)
    try:
        template = _good(folder, built_in)
    except BadRemedy as error:
        return Found(name, shown, fault=visible(str(error), _MOST_FAULT))
    except Exception as error:
        # Whatever it is, it must not keep the others from being published.
        log.exception("own remedy %s cannot be examined", shown)
        return Found(
            name, shown, fault=f"it cannot be examined: {type(error).__name__}, and the worker's log tells more"
        )
    remedy = msgspec.structs.replace(template.remedy, source=shown)
    return Found(name, shown, msgspec.to_builtins(remedy), {str(kind): text for kind, text in template.scripts.items()})


def _good(folder: Path, built_in: Collection[str]) -> Template:
    """Return a remedy that was found good in all respects. Raises BadRemedy."""
    for path in (folder.parent, *_parts(folder)):
        with suppress(OSError):
            if path.stat().st_mode & stat.S_IWOTH:
                raise BadRemedy(f"{path.name} can be written by everybody, and is run here: chmod o-w")
    template = load(folder)
    remedy = template.remedy
    if remedy.issue_type in built_in:
        raise BadRemedy(f"{declaration.FILE}: {remedy.issue_type} is a built-in remedy: choose another name")
    for event in remedy.events:
        if event not in _EVENTS:
            raise BadRemedy(
                f"{declaration.FILE}: {event!r} is no type of event: there are {', '.join(sorted(_EVENTS))}"
            )
    if "bash" in template.scripts:
        check_bash(template.scripts["bash"])
    if "powershell" in template.scripts:
        check_powershell(template.scripts["powershell"])
    if "bash" in template.scripts:
        try_bash(template)
    return template


def _parts(folder: Path) -> Iterator[Path]:
    yield folder
    for name in (declaration.FILE, *FILES.values()):
        yield folder / name


def _fingerprint(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return _NOTHING
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
