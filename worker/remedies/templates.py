"""Remedies as they lie in their folders, read and checked."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from store.remedies import Remedy, ScriptType, check

BUILT_IN = Path(__file__).parent
MARKER = "# fleetmedic: values"
"""The line of a script that its values take the place of."""

_FILES: Mapping[ScriptType, str] = {"bash": "fix.sh", "powershell": "fix.ps1"}


class BadRemedy(ValueError):
    """A folder that is no remedy; the message names the file and its fault."""


@dataclass(frozen=True)
class Template:
    """A remedy with its scripts as they stand, by type."""

    remedy: Remedy
    scripts: Mapping[ScriptType, str]


def load_all(folder: Path = BUILT_IN) -> dict[str, Template]:
    """Read every remedy in a folder of them, by issue type. Raises BadRemedy."""
    return {toml.parent.name: load(toml.parent) for toml in sorted(folder.glob("*/remedy.toml"))}


def load(folder: Path) -> Template:
    """Read one remedy. Raises BadRemedy."""
    remedy = _remedy(folder / "remedy.toml")
    scripts = {kind: _script(folder / name) for kind, name in _FILES.items() if (folder / name).exists()}
    if not scripts:
        raise BadRemedy(f"{folder}: has neither {' nor '.join(_FILES.values())}")
    return Template(msgspec.structs.replace(remedy, script_types=tuple(scripts)), scripts)


def _remedy(file: Path) -> Remedy:
    try:
        remedy = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Remedy)
        for parameter in remedy.parameters:
            if parameter.default is not None:
                check(parameter, parameter.default)
    except (OSError, ValueError) as error:
        raise BadRemedy(f"{file}: {error}") from None
    if remedy.issue_type != file.parent.name:
        raise BadRemedy(f"{file}: issue_type is {remedy.issue_type!r}, its folder is {file.parent.name!r}")
    return remedy


def _script(file: Path) -> str:
    try:
        text = file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRemedy(f"{file}: {error}") from None
    if text.splitlines().count(MARKER) != 1:
        raise BadRemedy(f"{file}: needs the line {MARKER!r}, once")
    return text
