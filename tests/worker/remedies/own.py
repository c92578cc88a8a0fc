"""Folders of own remedies, with the example that the docs have."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "remedies.md"
EXAMPLE = dict(
    re.findall(r"`remedies/old_exports/(\S+)`:\n\n```\w+\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
)
"""The files of the remedy ``old_exports``, by name."""


def add_example(folder: Path, name: str = "old_exports", changes: dict[str, tuple[str, str]] | None = None) -> Path:
    """Put the example into a folder of remedies, under a name; ``changes`` replace a text of a file by another."""
    remedy = folder / name
    remedy.mkdir(parents=True, exist_ok=True)
    for file, text in EXAMPLE.items():
        old, new = (changes or {}).get(file, ("", ""))
        assert old in text
        (remedy / file).write_text((text.replace(old, new) if old else text).replace("old_exports", name))
    return remedy
