"""A script from a remedy: one block of assignments in the place of its marker, and nothing else.

Values never become code: each is one literal in plain ASCII, whatever a host put into it.
"""

import hashlib
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from store.remedies import Remedy, ScriptType, Value
from store.script_templates import content_of
from worker.remedies.templates import Template

_PLAIN = frozenset(string.ascii_letters + string.digits + string.punctuation + " ") - frozenset("'\"")
_SUFFIXES: Mapping[ScriptType, str] = {"bash": ".sh", "powershell": ".ps1"}


@dataclass(frozen=True)
class Provenance:
    """What a script answers; None for an event or a host where there is none."""

    event_id: int | None
    host: str | None


@dataclass(frozen=True)
class Rendered:
    """A script that is ready to be handed over."""

    parameters: Mapping[str, Value]
    remedy_version: str
    filename: str
    description: str
    run_command: str
    requires_admin: bool
    template: str
    """The text of the remedy, as it stands."""
    assignments: str
    """What takes the place of its marker."""
    sha256: str
    """Of the content's bytes, in hexadecimal."""

    @property
    def content(self) -> str:
        """The script itself."""
        return content_of(self.template, self.assignments)


def render(
    template: Template, script_type: ScriptType, parameters: Mapping[str, Value], provenance: Provenance
) -> Rendered:
    """Return the script with these parameters, which must be complete. The same input gives the same bytes."""
    remedy = template.remedy
    values = {
        "remedy": remedy.issue_type,
        "version": remedy.version,
        "event": provenance.event_id,
        "host": provenance.host,
        **parameters,
    }
    assign = _ASSIGNMENTS[script_type]
    assignments = "\n".join([assign(f"FM_{name.upper()}", text_of(value)) for name, value in values.items()])
    content = content_of(template.scripts[script_type], assignments)
    filename = _filename(remedy, script_type, provenance)
    return Rendered(
        parameters=dict(parameters),
        remedy_version=remedy.version,
        filename=filename,
        description=remedy.description,
        run_command=_run_command(remedy, script_type, filename),
        requires_admin=remedy.requires_admin,
        template=template.scripts[script_type],
        assignments=assignments,
        sha256=hashlib.sha256(content.encode("ascii")).hexdigest(),
    )


def text_of(value: Value) -> str:
    """Return a value as its script reads it: nothing for None, ``true`` or ``false``, plain decimals."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)


def bash_literal(text: str) -> str:
    """Return text as one word of bash: in single quotes, or where it is not plain as octal escapes of its UTF-8.

    Raises ValueError for NUL, at which bash would end the word.
    """
    if "\0" in text:
        raise ValueError(f"no word of bash can hold NUL: {text[:100]!r}")
    if _PLAIN.issuperset(text):
        return f"'{text}'"
    octal = "".join(
        chr(byte) if chr(byte) in _PLAIN and byte != ord("\\") else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "replace")
    )
    return f"$'{octal}'"


def powershell_literal(text: str) -> str:
    """Return text as one expression of PowerShell: in single quotes, or where it is not plain as UTF-16 codes.

    A typographic quote would end a string there.
    """
    if _PLAIN.issuperset(text):
        return f"'{text}'"
    encoded = text.encode("utf-16-le", "replace")
    codes = (str(int.from_bytes(encoded[place : place + 2], "little")) for place in range(0, len(encoded), 2))
    return f"-join [char[]]({','.join(codes)})"


_ASSIGNMENTS: Mapping[ScriptType, Callable[[str, str], str]] = {
    "bash": lambda name, text: f"{name}={bash_literal(text)}",
    "powershell": lambda name, text: f"${name} = {powershell_literal(text)}",
}


def _filename(remedy: Remedy, script_type: ScriptType, provenance: Provenance) -> str:
    event = "" if provenance.event_id is None else f"-event-{provenance.event_id}"
    return f"fleetmedic-{remedy.issue_type}{event}{_SUFFIXES[script_type]}"


def _run_command(remedy: Remedy, script_type: ScriptType, filename: str) -> str:
    if script_type == "powershell":
        return f"powershell -NoProfile -ExecutionPolicy Bypass -File .\\{filename}"
    return f"{'sudo ' if remedy.requires_admin else ''}bash {filename}"
