"""Each name that the PowerShell fixes use is there: in Windows PowerShell 5.1, in PowerShell 7, or in the script.

Under ``Set-StrictMode`` a wrong one ends the script, and with no Windows at hand nothing else tells.
"""

from collections.abc import Callable, Iterator

import pytest
from tree_sitter import Node

from tests.worker.remedies.powershell import FIXES, Place, below, commands, functions, named, places, text_of
from tests.worker.remedies.windows_powershell import (
    AUTOMATIC,
    COMMANDS,
    COMMON_PARAMETERS,
    MEMBERS,
    RESERVED,
    RETURNS_NOTHING,
    SEVERAL_WORDS,
    STATIC,
    TYPES,
)

KNOWN_MEMBERS = frozenset[str]().union(*MEMBERS.values())
PROGRAMS = {"$Shell", "$Engine", "$Engine.Path"}
# Of these Add returns nothing: they are tables.
TABLES = {"$Before", "$After", "$Figures", "$Step", "$Found"}
# What is always a list, though no assignment in the same function shows it.
COUNTED = {"$Files", "$args"}
each = pytest.mark.parametrize("issue_type", FIXES)


def variable_name(variable: Node) -> str:
    text = text_of(variable).removeprefix("$").removeprefix("{").removesuffix("}")
    return text.removeprefix("script:").lower()


def parameters_of(function: Node) -> list[str]:
    declared = [node for node in below(function) if node.type == "script_parameter"]
    return [variable_name(variable) for node in declared for variable in named(node, "variable")]


def unknown_commands(script: str) -> Iterator[str]:
    own = {name: parameters_of(node) for name, node in functions(script).items()}
    for command in commands(script):
        where = f"line {command.place.line}: {command.name}"
        if command.name in own:
            if command.parameters or command.arguments != len(own[command.name]):
                yield f"{where} takes {own[command.name]}"
        elif command.name in COMMANDS:
            for wrong in command.parameters - COMMANDS[command.name] - COMMON_PARAMETERS:
                yield f"{where} has no -{wrong}"
            if command.arguments > len(command.parameters) and command.name not in SEVERAL_WORDS:
                yield f"{where} is given a value without the name of its parameter"
        elif command.name not in PROGRAMS:
            yield f"{where} is not there"


def unknown_types(script: str) -> Iterator[str]:
    for place in places(script):
        name = text_of(place.node).removesuffix("[]")
        is_type = place.node.type == "type_spec" or (place.node.type == "generic_token" and name.startswith("System."))
        if is_type and name not in TYPES:
            yield name


def members(script: str) -> Iterator[tuple[Place, str]]:
    """Yield each access to a member, and the member's name."""
    for place in places(script):
        if place.node.type in ("member_access", "invokation_expression"):
            yield place, text_of(named(place.node, "member_name")[0])


def unknown_members(script: str) -> Iterator[str]:
    for place, name in members(script):
        of = place.node.children[0]
        if of.type == "type_literal":
            if name not in STATIC.get(text_of(of)[1:-1], ()):
                yield f"{text_of(of)}::{name}"
        elif name not in KNOWN_MEMBERS:
            yield f".{name}"


def assignments(script: str) -> Iterator[tuple[Place, str, Node]]:
    """Yield what assigns a variable, the variable's name, and what is assigned or gone through."""
    for place in places(script):
        if place.node.type == "assignment_expression":
            variable = next(one for one in below(place.node) if one.type == "variable")
            yield place, variable_name(variable), place.node.children[-1]
        elif place.node.type == "foreach_statement":
            yield place, variable_name(named(place.node, "variable")[0]), place.node


def unknown_variables(script: str) -> Iterator[str]:
    assigned = {(place.function, name) for place, name, _ in assignments(script)}
    assigned |= {(name, parameter) for name, node in functions(script).items() for parameter in parameters_of(node)}
    everywhere = {name.lower() for name in AUTOMATIC} | {"mode", "force"}
    for place in places(script):
        if place.node.type == "variable" and not text_of(place.node).startswith("$env:"):
            name = variable_name(place.node)
            if name not in everywhere and not {("", name), (place.function, name)} & assigned:
                yield f"line {place.line}: {text_of(place.node)}"


def reserved_variables(script: str) -> Iterator[str]:
    taken = {name for _, name, _ in assignments(script)}
    taken.update(parameter for node in functions(script).values() for parameter in parameters_of(node))
    yield from sorted(taken & RESERVED)


def leaks(script: str) -> Iterator[str]:
    """Yield the calls whose result nobody takes: it would be part of what the function returns."""
    for place, name in members(script):
        is_call = place.node.type == "invokation_expression" and place.is_statement
        returns = name not in RETURNS_NOTHING and (name != "Add" or text_of(place.node.children[0]) not in TABLES)
        if is_call and returns:
            yield text_of(place.node)


def uncounted(script: str) -> Iterator[str]:
    """Yield what is asked for its count though it may be a single object, which has none under ``Set-StrictMode``."""
    lists = {
        (function, name)
        for place, name, value in assignments(script)
        if text_of(value).startswith(("@(", "New-Object "))
        for function in (place.function, *(functions(script) if place.function == "" else ()))
    }
    for place, name in members(script):
        of = place.node.children[0]
        is_asked = name == "Count" and of.type == "variable" and text_of(of) not in COUNTED
        if is_asked and (place.function, variable_name(of)) not in lists:
            yield f"line {place.line}: {text_of(place.node)}"


@each
def test_each_command_and_parameter_is_there_in_windows_powershell_5_1(issue_type: str) -> None:
    assert list(unknown_commands(FIXES[issue_type])) == []


@each
def test_each_type_is_there_in_both(issue_type: str) -> None:
    assert list(unknown_types(FIXES[issue_type])) == []


@each
def test_each_member_is_there_in_both(issue_type: str) -> None:
    assert list(unknown_members(FIXES[issue_type])) == []


@each
def test_each_variable_that_is_read_was_assigned(issue_type: str) -> None:
    assert list(unknown_variables(FIXES[issue_type])) == []


@each
def test_no_variable_is_one_of_powershell_s_own(issue_type: str) -> None:
    assert list(reserved_variables(FIXES[issue_type])) == []


@each
def test_no_function_returns_what_a_call_in_it_happens_to_return(issue_type: str) -> None:
    assert list(leaks(FIXES[issue_type])) == []


@each
def test_only_lists_are_counted(issue_type: str) -> None:
    assert list(uncounted(FIXES[issue_type])) == []


@pytest.mark.parametrize(
    ("find", "broken", "found"),
    [
        (unknown_commands, "Get-EventLog -LogName System", "line 1: Get-EventLog is not there"),
        (unknown_commands, "ConvertTo-Json -InputObject 1 -AsArray", "line 1: ConvertTo-Json has no -AsArray"),
        (unknown_commands, "function Get-A($B) { }\nGet-A", "line 2: Get-A takes ['b']"),
        (unknown_commands, "Get-Process 4", "line 1: Get-Process is given a value without the name of its parameter"),
        (unknown_types, "[DateTimeOffset]::Now", "DateTimeOffset"),
        (unknown_types, "New-Object -TypeName System.Net.WebClient", "System.Net.WebClient"),
        (unknown_members, "[Math]::Clamp(1, 2, 3)", "[Math]::Clamp"),
        (unknown_members, "$a.Lenght", ".Lenght"),
        (unknown_variables, "function Get-A { $B = 1 }\n$b", "line 2: $b"),
        (reserved_variables, "function Get-A($Host) { }", "host"),
        (reserved_variables, "foreach ($Event in 1, 2) { }", "event"),
        (leaks, "function Get-A { $Rows.Add(1) }", "$Rows.Add(1)"),
        (uncounted, "function Get-A { $B = Get-Process -Id 4; $B.Count }", "line 1: $B.Count"),
    ],
)
def test_what_is_wrong_is_found(find: Callable[[str], Iterator[str]], broken: str, found: str) -> None:
    assert list(find(broken)) == [found]
