"""The PowerShell fixes. None runs here, so they are parsed, and judged by what their syntax trees hold."""

import re
from collections.abc import Iterator

import pytest
import tree_sitter_powershell
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from store.remedies import ScriptType, complete
from tests.worker.remedies.bash import TEMPLATES
from worker.remedies.render import Provenance, render
from worker.remedies.templates import MARKER

POWERSHELL: ScriptType = "powershell"
PARSER = Parser(Language(tree_sitter_powershell.language()))
FIXES = {issue_type: template.scripts[POWERSHELL] for issue_type, template in TEMPLATES.items()}
# What changes a machine, as these scripts may call it.
CHANGING = {"stop-process", "remove-item", "restart-service", "docker"}
FORBIDDEN = {"invoke-expression", "iex", "start-process", "invoke-command", "invoke-webrequest", "add-type", "cmd"}
ALIASES = {"ls", "dir", "gci", "rm", "del", "ri", "cat", "gc", "echo", "ps", "gps", "kill", "spps", "%", "?", "foreach"}
each = pytest.mark.parametrize("issue_type", FIXES)


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def faults(script: str) -> list[str]:
    """Return what the parser does not understand."""
    tree = PARSER.parse(script.encode())
    return [
        f"{node.start_point}: {node.type}" for node in walk(tree.root_node) if node.type == "ERROR" or node.is_missing
    ]


def text_of(node: Node) -> str:
    return (node.text or b"").decode()


def commands(script: str) -> list[tuple[str, str]]:
    """Return each command that a script calls, in lower case, with the function that it is called in."""
    found = []
    for node in walk(PARSER.parse(script.encode()).root_node):
        if node.type == "command_name":
            found.append((text_of(node).lower(), function_around(node)))
    return found


def function_around(node: Node) -> str:
    above = node.parent
    while above is not None and above.type != "function_statement":
        above = above.parent
    names = [child for child in above.children if child.type == "function_name"] if above else []
    return text_of(names[0]).lower() if names else ""


@each
def test_it_parses(issue_type: str) -> None:
    assert faults(FIXES[issue_type]) == []


def test_the_parser_finds_what_is_broken() -> None:
    assert faults(FIXES["cpu_high"].replace("if (", "if ((", 1)) != []
    assert faults("$x = 'it\u2019s'; }") != []


@each
@settings(max_examples=25)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_it_parses_with_any_values(issue_type: str, text: str) -> None:
    remedy = TEMPLATES[issue_type].remedy
    values = {one.name: text if one.type == "string" else one.default for one in remedy.parameters}
    script = render(TEMPLATES[issue_type], POWERSHELL, values, Provenance(17, text)).content
    assert script.isascii()
    assert faults(script) == []


@each
def test_the_values_stand_where_powershell_allows_them(issue_type: str) -> None:
    lines = FIXES[issue_type].splitlines()
    assert lines[0] == "param("
    assert lines[lines.index(")") + 1] == MARKER
    assert FIXES[issue_type].isascii()


@each
def test_it_has_a_default_for_each_of_its_parameters_and_reads_it(issue_type: str) -> None:
    pattern = r"if \(-not \(Test-Path -Path 'Variable:FM_(\w+)'\)\) \{ \$FM_\1 = '([^']*)' \}"
    defaults = dict(re.findall(pattern, FIXES[issue_type]))
    assert {name.lower(): default for name, default in defaults.items()} == {
        one.name: "" if one.default is None else str(one.default).lower() if one.type == "boolean" else str(one.default)
        for one in TEMPLATES[issue_type].remedy.parameters
    }
    for name in defaults:
        assert FIXES[issue_type].count(f"$FM_{name}") > 1, name


@each
def test_it_calls_nothing_that_runs_text_and_no_alias(issue_type: str) -> None:
    called = {name for name, _ in commands(FIXES[issue_type])}
    assert called & (FORBIDDEN | ALIASES) == set()


@each
def test_what_changes_the_machine_is_reached_from_apply_only(issue_type: str) -> None:
    script = FIXES[issue_type]
    for name, function in commands(script):
        if name in CHANGING:
            assert function.startswith("invoke-apply"), (name, function)
    # Plan and verify have ended before the first of them is called outside a function.
    body = script.partition("# ---- This remedy")[2]
    top = [
        match.start() for match in re.finditer(r"^(?:\s*)Invoke-Apply", body, re.MULTILINE) if is_at_top(body, match)
    ]
    if top:
        assert body.index("Complete-Fix 0 'planned'") < top[-1]
        assert body.index("$Mode -eq 'verify'") < top[0]


def is_at_top(body: str, match: re.Match[str]) -> bool:
    return match.group().strip() == match.group()


def test_a_script_that_changes_something_in_its_plan_would_be_found() -> None:
    broken = FIXES["disk_full"] + "\nRemove-Item -LiteralPath 'C:\\x'\n"
    assert ("remove-item", "") in commands(broken)


@each
def test_it_has_no_operator_that_windows_powershell_lacks(issue_type: str) -> None:
    code = re.sub(r"#.*|'[^']*'|\"[^\"]*\"", "", FIXES[issue_type])
    assert re.findall(r"\?\?|&&|\|\||\?\.|-Parallel|\bclean\b", code) == []


@each
def test_it_is_strict_and_ends_with_the_codes_of_the_contract(issue_type: str) -> None:
    script = FIXES[issue_type]
    assert "Set-StrictMode -Version 2\n$ErrorActionPreference = 'Stop'\n" in script
    outcomes = set(re.findall(r"Complete-Fix (\d) '(\w+)'", script))
    allowed = {("0", "planned"), ("0", "nothing"), ("0", "done"), ("1", "failed"), ("2", "usage"), ("3", "refused")}
    assert outcomes <= allowed
    assert {("1", "failed"), ("2", "usage"), ("0", "done")} <= outcomes


def test_what_several_have_they_have_alike() -> None:
    functions: dict[str, set[str]] = {}
    for script in FIXES.values():
        shared = script.partition("# ---- This remedy")[0]
        for name, body in re.findall(r"^function ([\w-]+).*?\{\n(.*?)^\}$", shared, re.MULTILINE | re.DOTALL):
            functions.setdefault(name, set()).add(body)
    assert {name for name, bodies in functions.items() if len(bodies) > 1} == set()
    assert {"ConvertTo-Shown", "Complete-Fix"} <= functions.keys()


def test_all_parameters_have_their_defaults_when_none_is_given() -> None:
    for template in TEMPLATES.values():
        needed = {one.name: 5 if one.type == "integer" else "x" for one in template.remedy.parameters if one.required}
        assert complete(template.remedy, needed).keys() == {one.name for one in template.remedy.parameters}
