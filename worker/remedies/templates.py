"""Remedies as they lie in their folders, read and checked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from store.remedies import Remedy, ScriptType
from store.script_templates import MARKER
from worker.remedies import declaration
from worker.remedies.declaration import BadRemedy, read_text

BUILT_IN = Path(__file__).parent
FILES: Mapping[ScriptType, str] = {"bash": "fix.sh", "powershell": "fix.ps1"}

_MOST_BYTES = 256 * 1024


@dataclass(frozen=True)
class Template:
    """A remedy with its scripts as they stand, by type."""

    remedy: Remedy
    scripts: Mapping[ScriptType, str]


def load_all() -> dict[str, Template]:
    """Read the remedies that come with the product, by issue type. Raises BadRemedy."""
    known = {}
    for folder in sorted(toml.parent for toml in BUILT_IN.glob(f"*/{declaration.FILE}")):
        try:
            known[folder.name] = load(folder)
        except BadRemedy as error:
            raise BadRemedy(f"{folder}: {error}") from None
    return known


def load(folder: Path) -> Template:
    """Read one remedy. Raises BadRemedy."""
    remedy = declaration.read(folder / declaration.FILE)
    # A link that leads nowhere is meant to be a script.
    there = {kind: folder / name for kind, name in FILES.items() if os.path.lexists(folder / name)}
    scripts = {kind: _script(file) for kind, file in there.items()}
    if not scripts:
        raise BadRemedy(f"it has neither {' nor '.join(FILES.values())}")
    return Template(msgspec.structs.replace(remedy, script_types=tuple(scripts)), scripts)


def _script(file: Path) -> str:
    text = read_text(file, _MOST_BYTES)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.isascii():
            raise BadRemedy(f"{file.name} line {number}: it has a character that is not ASCII")
    if "\r" in text or "\0" in text:
        raise BadRemedy(f"{file.name}: its lines must end by a line feed alone, and it can hold no NUL")
    if text.split("\n").count(MARKER) != 1:
        raise BadRemedy(f"{file.name}: needs the line {MARKER!r}, once")
    return text
