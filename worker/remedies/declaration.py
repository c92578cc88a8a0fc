"""What a remedy says of itself, ``remedy.toml``: read, and held against what its scripts and its readers can take."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import msgspec

from store.remedies import Parameter, Remedy, check

FILE = "remedy.toml"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""Of a remedy and of a parameter: part of a file's name and of a variable's in either language."""
TAKEN = frozenset({"remedy", "version", "event", "host"})
"""Names that no parameter can have: a script's block of values tells by them what it answers."""

_MOST_BYTES = 64 * 1024
_MOST_TEXT = 500
_MOST_LENGTH = 10_000
_MOST_NUMBER = 2**63 - 1
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,32}")


class BadRemedy(ValueError):
    """A folder that is no remedy; the message names the file and its fault."""


def read(file: Path) -> Remedy:
    """Read a ``remedy.toml`` and check it. Raises BadRemedy."""
    text = read_text(file, _MOST_BYTES)
    try:
        remedy = msgspec.convert(tomllib.loads(text), Remedy)
    except (ValueError, RecursionError) as error:
        raise BadRemedy(f"{FILE}: {error}") from None
    for fault in _faults(remedy, file.parent.name):
        raise BadRemedy(f"{FILE}: {fault}")
    return remedy


def read_text(file: Path, most_bytes: int) -> str:
    """Read a file of UTF-8 that is not bigger than that. Raises BadRemedy."""
    try:
        # What is no file could keep its reader for ever.
        if not file.is_file():
            raise BadRemedy(f"{file.name}: there is no such file")
        with file.open("rb") as stream:
            content = stream.read(most_bytes + 1)
    except OSError as error:
        raise BadRemedy(f"{file.name}: it cannot be read: {error.strerror}") from None
    if len(content) > most_bytes:
        raise BadRemedy(f"{file.name}: it is bigger than {most_bytes // 1024} KiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRemedy(f"{file.name}: it is not UTF-8: {error}") from None


def _faults(remedy: Remedy, folder: str) -> Iterator[str]:
    if remedy.issue_type != folder:
        yield f"issue_type is {remedy.issue_type!r}, its folder is {folder!r}"
    if not NAME.fullmatch(remedy.issue_type):
        yield "issue_type must be 1 to 64 small letters, digits and _, a letter first"
    if not _VERSION.fullmatch(remedy.version):
        yield "version must be 1 to 32 letters, digits and . + -"
    for name in ("title", "description"):
        if not _is_line(getattr(remedy, name)):
            yield f"{name} must be one line of 1 to {_MOST_TEXT} characters"
    names = [parameter.name for parameter in remedy.parameters]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} is a parameter twice"
    for parameter in remedy.parameters:
        if not NAME.fullmatch(parameter.name) or parameter.name in TAKEN:
            taken = ", ".join(sorted(TAKEN))
            yield f"{parameter.name!r} can be no parameter: small letters, digits and _, a letter first; not {taken}"
        for fault in _faults_of(parameter):
            yield f"{parameter.name} {fault}"


def _faults_of(parameter: Parameter) -> Iterator[str]:
    """Yield what is wrong with a parameter; each reads on from its name."""
    if not _is_line(parameter.description):
        yield f"has no description of one line, of 1 to {_MOST_TEXT} characters"
    if parameter.required and parameter.default is not None:
        yield "is required and has a default: leave one of them out"
    is_number = parameter.type in ("integer", "number")
    bounds = [bound for bound in (parameter.minimum, parameter.maximum) if bound is not None]
    if bounds and not is_number:
        yield f"is of type {parameter.type} and has a minimum or a maximum: only numbers have"
    numbers = [*bounds, parameter.default] if is_number else bounds
    # Not less or equal are also those that are no numbers.
    if not all(abs(number) <= _MOST_NUMBER for number in numbers if isinstance(number, int | float)):
        yield f"has a number that is not from -{_MOST_NUMBER} to {_MOST_NUMBER}"
    if bounds != sorted(bounds):
        yield "has a minimum above its maximum"
    if (parameter.pattern is not None or parameter.choices) and parameter.type != "string":
        yield f"is of type {parameter.type} and has a pattern or choices: only strings have"
    if not 1 <= parameter.max_length <= _MOST_LENGTH:
        yield f"has a max_length that is not from 1 to {_MOST_LENGTH}"
    if not all(_is_line(choice) for choice in parameter.choices):
        yield f"has a choice that is not one line of 1 to {_MOST_TEXT} characters"
    if "\0" in (parameter.pattern or ""):
        yield "has a pattern with NUL, which no parameter can hold"
        return
    try:
        re.compile(parameter.pattern or "")
    except (re.error, RecursionError, OverflowError) as error:
        yield f"has a pattern that is no regular expression: {error}"
        return
    if parameter.default is not None:
        try:
            check(parameter, parameter.default)
        except ValueError as error:
            yield str(error).removeprefix(f"{parameter.name} ")


def _is_line(text: str) -> bool:
    return 0 < len(text) <= _MOST_TEXT and not any(
        unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text
    )
