"""What the parsers of both languages say of a script that a user added."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import msgspec
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from store.script_templates import MARKER
from worker.forks import start
from worker.remedies.declaration import BadRemedy
from worker.remedies.templates import FILES

_SHELLCHECK_SECONDS = 30
_MODES = ("plan", "apply", "verify")


class _Comment(msgspec.Struct):
    """A finding of shellcheck."""

    line: int
    code: int
    message: str


class _Report(msgspec.Struct):
    comments: list[_Comment]


def check_bash(script: str) -> None:
    """Check a script in bash as it stands. Raises BadRemedy."""
    file = FILES["bash"]
    first, second, *_ = [*script.split("\n"), "", ""]
    if not (first.startswith("#!") and first.endswith("bash")) or second != MARKER:
        raise BadRemedy(f"{file}: it must begin with the lines '#!/usr/bin/env bash' and {MARKER!r}")
    _check_modes(file, script)
    found = _shellcheck(script)
    if found:
        more = f" and {len(found) - 1} more of shellcheck" if len(found) > 1 else ""
        raise BadRemedy(f"{file} line {found[0].line}: {found[0].message} (SC{found[0].code}){more}")


def check_powershell(script: str) -> None:
    """Check a script in PowerShell as it stands. Raises BadRemedy."""
    file = FILES["powershell"]
    for fault in powershell_faults(script):
        raise BadRemedy(f"{file} {fault}")
    program = _parse(script)
    ahead = [text_of(node) for node in _until_statements(program) if node.type == "comment"]
    if not any(node.type == "param_block" for node in program.children) or MARKER not in ahead:
        raise BadRemedy(f"{file}: it must begin with param(...), and {MARKER!r} must be the next line")
    _check_modes(file, script)


def powershell_faults(script: str) -> Iterator[str]:
    """Yield what a parser of PowerShell does not understand, each with its line."""
    for node in walk(_parse(script)):
        if node.type == "ERROR":
            yield f"line {node.start_point.row + 1}: PowerShell cannot be parsed here: {text_of(node)[:80]!r}"
        elif node.is_missing:
            yield f"line {node.start_point.row + 1}: {node.type!r} is missing"


def walk(root: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def text_of(node: Node) -> str:
    """Return the text that a node stands for."""
    return (node.text or b"").decode()


def _parse(script: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(script.encode()).root_node


def _until_statements(program: Node) -> Iterator[Node]:
    for node in program.children:
        if node.type == "statement_list":
            return
        yield node


def _check_modes(file: str, script: str) -> None:
    """Look for the names of the modes: a script without them does what it does, whatever it is asked for."""
    absent = [mode for mode in _MODES if mode not in script]
    if absent:
        raise BadRemedy(f"{file}: it does not know the mode {absent[0]}: plan, apply and verify are needed")


def _shellcheck(script: str) -> list[_Comment]:
    beside = Path(sys.executable).with_name("shellcheck")
    program = str(beside) if beside.exists() else shutil.which("shellcheck")
    if program is None:
        raise BadRemedy(f"{FILES['bash']}: it cannot be checked, since shellcheck is not installed")
    command = [program, "--norc", "--shell=bash", "--format=json1", "-"]
    with TemporaryFile() as given, TemporaryFile() as said:
        given.write(script.encode())
        given.seek(0)
        process = start(command, stdin=given, stdout=said, stderr=subprocess.DEVNULL)
        try:
            process.wait(_SHELLCHECK_SECONDS)
            said.seek(0)
            return msgspec.json.decode(said.read(), type=_Report).comments
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise BadRemedy(f"{FILES['bash']}: shellcheck failed on it: {error}") from None
        finally:
            process.kill()
            process.wait()
