"""Reading PowerShell without one: its syntax tree, and assignments by the quoting rules of its tokenizer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from store.remedies import ScriptType
from tests.worker.remedies.bash import TEMPLATES

POWERSHELL: ScriptType = "powershell"
FIXES = {issue_type: template.scripts[POWERSHELL] for issue_type, template in TEMPLATES.items()}
_PARSER = Parser(Language(tree_sitter_powershell.language()))
# Each of these begins and ends a string: SpecialChars in PowerShell's own CharTraits.cs.
_SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"


@dataclass(frozen=True)
class Place:
    """A node of a syntax tree, and where it stands."""

    node: Node
    function: str
    """The name of the function around it, empty at the top."""
    is_statement: bool
    """Whether it is all of a statement, so that nobody takes what it returns."""

    @property
    def line(self) -> int:
        """Return the line that it begins on, from 1."""
        return self.node.start_point[0] + 1


@dataclass(frozen=True)
class Command:
    """A command as a script calls it."""

    name: str
    """As it stands there; of ``& $Shell`` it is ``$Shell``."""
    parameters: frozenset[str]
    """Without the dash."""
    arguments: int
    """How many words it is given that are neither parameters nor redirections."""
    place: Place


@cache
def places(script: str) -> tuple[Place, ...]:
    """Return all of a script in the order of its text."""
    return tuple(_walk(_PARSER.parse(script.encode()).root_node, "", is_statement=False))


def _walk(node: Node, function: str, is_statement: bool, is_taken: bool = False) -> Iterator[Place]:
    if node.type == "function_statement":
        function = text_of(named(node, "function_name")[0])
    yield Place(node, function, is_statement)
    is_list = node.type in ("program", "statement_list") and not is_taken
    is_alone = is_list or (is_statement and len(node.children) == 1)
    for child in node.children:
        yield from _walk(child, function, is_alone, node.type in ("sub_expression", "array_expression"))


def below(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for child in node.children:
        yield from below(child)


def named(node: Node, kind: str) -> list[Node]:
    """Return the children of a node that are of this kind."""
    return [child for child in node.children if child.type == kind]


def text_of(node: Node) -> str:
    """Return the text that a node stands for."""
    return (node.text or b"").decode()


def faults(script: str) -> list[str]:
    """Return what the parser does not understand."""
    root = _PARSER.parse(script.encode()).root_node
    return (
        [f"{one.start_point}: {one.type}" for one in below(root) if one.is_error or one.is_missing]
        if root.has_error
        else []
    )


def functions(script: str) -> dict[str, Node]:
    """Return the functions of a script by name."""
    return {one.function: one.node for one in places(script) if one.node.type == "function_statement"}


def commands(script: str) -> list[Command]:
    """Return each command that a script calls."""
    found = []
    for place in places(script):
        if place.node.type == "command":
            name = next(one for one in place.node.children if one.type in ("command_name", "command_name_expr"))
            elements = [one for words in named(place.node, "command_elements") for one in words.children]
            words = [one for one in elements if one.type not in ("command_argument_sep", "redirection")]
            parameters = frozenset(text_of(one)[1:] for one in words if one.type == "command_parameter")
            found.append(Command(text_of(name), parameters, len(words) - len(parameters), place))
    return found


def read_assignments(text: str) -> tuple[dict[str, str], str]:
    """Read the assignments of ``FM_`` variables that a text begins with, and return their values and what follows.

    As PowerShell does: a string ends at any of its five single quotes unless there are two, and a character code is a
    UTF-16 unit. Raises ValueError for anything else.
    """
    values: dict[str, str] = {}
    while match := re.match(r"\$FM_([A-Z_]+) = ", text):
        value, text = _expression(text[match.end() :])
        if not text.startswith("\n"):
            raise ValueError(f"behind {match[1]} stands {text[:40]!r}")
        values[match[1]] = value
        text = text[1:]
    return values, text


def _expression(text: str) -> tuple[str, str]:
    codes = re.match(r"-join \[char\[\]\]\((\d+(?:,\d+)*)\)", text)
    if codes:
        units = b"".join(int(code).to_bytes(2, "little") for code in codes[1].split(","))
        return units.decode("utf-16-le"), text[codes.end() :]
    if text[:1] not in _SINGLE_QUOTES:
        raise ValueError(f"no string begins with {text[:40]!r}")
    value = ""
    place = 1
    while place < len(text):
        if text[place] in _SINGLE_QUOTES:
            place += 1
            if text[place : place + 1] not in _SINGLE_QUOTES or place == len(text):
                return value, text[place:]
        value += text[place]
        place += 1
    raise ValueError(f"the string {value[:40]!r} has no end")
