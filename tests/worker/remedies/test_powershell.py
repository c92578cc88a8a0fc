"""What holds for every fix in PowerShell: its form, its modes, and where it may change anything.

They are judged by their syntax trees; ``test_powershell_run.py`` runs them where there is a PowerShell.
"""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from store.remedies import complete
from store.script_templates import MARKER
from tests.worker.remedies.bash import TEMPLATES
from tests.worker.remedies.powershell import (
    FIXES,
    POWERSHELL,
    Place,
    below,
    commands,
    faults,
    functions,
    named,
    places,
    text_of,
)
from tests.worker.remedies.windows_powershell import CHANGES
from worker.remedies.render import Provenance, render

FORBIDDEN = {"invoke-expression", "iex", "start-process", "invoke-command", "invoke-webrequest", "add-type", "cmd"}
ENDS_PROCESSES = {"cpu_high", "memory_high", "process_memory_high"}
TITLE = re.compile(r"^# ---- (.*) -+$", re.MULTILINE)
each = pytest.mark.parametrize("issue_type", FIXES)


def parts(script: str) -> dict[str, str]:
    """Return the parts of a script by the titles above them."""
    _, *rest = TITLE.split(script)
    return dict(zip(rest[::2], rest[1::2], strict=True))


@each
def test_it_parses(issue_type: str) -> None:
    assert faults(FIXES[issue_type]) == []


def test_the_parser_finds_what_is_broken() -> None:
    assert faults(FIXES["cpu_high"].replace("if (", "if ((", 1)) != []
    for broken in ("$x = 'it\u2019s'; }", "$a ? 1 : 2", "$a ?? 2", "$a?.b"):
        assert faults(broken) != [], broken


@each
@settings(max_examples=10)
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
    expected = {
        one.name: "" if one.default is None else str(one.default).lower() if one.type == "boolean" else str(one.default)
        for one in TEMPLATES[issue_type].remedy.parameters
    }
    provenance = {"version", "event", "host"}
    assert {name.lower(): text for name, text in defaults.items() if name.lower() not in provenance} == expected
    for name in defaults:
        assert FIXES[issue_type].count(f"$FM_{name}") > 1, name


@each
def test_it_calls_nothing_that_runs_text(issue_type: str) -> None:
    assert {command.name.lower() for command in commands(FIXES[issue_type])} & FORBIDDEN == set()


@each
def test_it_has_no_operator_that_windows_powershell_lacks(issue_type: str) -> None:
    code = re.sub(r"#.*|'[^']*'|\"[^\"]*\"", "", FIXES[issue_type])
    # The parser finds fault with the others: it knows no ?:, ?? and ?.
    assert re.findall(r"&&|\|\||-Parallel|\bclean\b", code) == []


@each
def test_it_is_strict_and_ends_with_the_codes_of_the_contract(issue_type: str) -> None:
    script = FIXES[issue_type]
    assert "Set-StrictMode -Version 2\n$ErrorActionPreference = 'Stop'\n" in script
    outcomes = set(re.findall(r"Complete-Fix (\d) '(\w+)'", script))
    allowed = {("0", "planned"), ("0", "nothing"), ("0", "done"), ("1", "failed"), ("2", "usage"), ("3", "refused")}
    assert outcomes <= allowed
    assert {("1", "failed"), ("2", "usage"), ("0", "done"), ("3", "refused")} <= outcomes


@each
def test_it_ends_by_the_function_that_prints_the_result_and_by_nothing_else(issue_type: str) -> None:
    ends = [place.function for place in places(FIXES[issue_type]) if text_of(place.node).split(" ")[0] == "exit"]
    # What a policy restricts ends before there are functions.
    assert set(ends) == {"", "Complete-Fix", "Exit-AfterStep"}
    tail = parts(FIXES[issue_type])["What every remedy ends with"]
    assert re.search(r"^try \{.*^catch \{.*^finally \{.*^\}\s*\Z", tail, re.MULTILINE | re.DOTALL)


@each
def test_where_the_language_is_restricted_it_says_so_in_the_form_of_the_contract_by_what_is_left_of_it(
    issue_type: str,
) -> None:
    script = FIXES[issue_type].partition(MARKER)[2]
    until = script.index("    exit 3\n")
    nodes = [place.node for place in places(script) if place.node.start_byte < until]
    assert {"type_literal", "invokation_expression"} & {node.type for node in nodes} == set()
    used = {command.name for command in commands(script) if command.place.node.start_byte < until}
    assert used == {"Test-Path", "Set-StrictMode", "Write-Output"}
    last = script[script.rindex("Write-Output", 0, until) : until]
    values = {"Remedy": issue_type, "Known": "plan", "Message": "why"}
    line = "".join(text or values[name] for text, name in re.findall(r"'([^']*)'|\$(\w+)", last))
    result = json.loads(line)
    assert list(result) == ["remedy", "mode", "outcome", "exit_code", "message", "before", "after", "changed"]
    assert (result["outcome"], result["exit_code"]) == ("refused", 3)


def test_what_several_have_is_the_same_text_in_all_of_them() -> None:
    own = {issue_type: parts(script) for issue_type, script in FIXES.items()}
    titles = {title for sections in own.values() for title in sections} - {"This remedy"}
    assert len(titles) == 3
    for title in titles:
        assert len({sections[title] for sections in own.values() if title in sections}) == 1, title
    assert {issue_type for issue_type, sections in own.items() if len(sections) == 4} == ENDS_PROCESSES


def changes(script: str) -> list[Place]:
    """Return where a script changes the machine: by members that do, and by programs other than itself."""
    found = []
    for place in places(script):
        if place.node.type in ("member_access", "invokation_expression"):
            is_written = place.node.type == "invokation_expression" or is_assigned(script, place)
            if is_written and text_of(named(place.node, "member_name")[0]) in CHANGES:
                found.append(place)
        elif place.node.type == "command" and text_of(place.node).startswith("& $Engine system"):
            found.append(place)
    return found


def is_assigned(script: str, place: Place) -> bool:
    left = [one.node for one in places(script) if one.node.type == "left_assignment_expression"]
    return any(one.start_byte <= place.node.start_byte and place.node.end_byte <= one.end_byte for one in left)


def is_guarded(function: Node, call: Node) -> bool:
    """Say whether a call is reached in the mode apply only: under such a condition, or behind the end of the others."""
    before = text_of(function).encode()[: call.start_byte - function.start_byte].decode()
    if "Complete-Fix 0 'planned'" in before and "if ($Mode -eq 'verify') {" in before:
        return True
    for one in below(function):
        if one.type == "if_statement" and text_of(one).startswith("if ($Mode -eq 'apply') {"):
            block = named(one, "statement_block")[0]
            if block.start_byte < call.start_byte < block.end_byte:
                return True
    return False


@each
def test_what_changes_the_machine_is_reached_from_apply_only(issue_type: str) -> None:
    script = FIXES[issue_type]
    for place in changes(script):
        assert place.function.startswith("Invoke-Apply") or place.function == "Write-Action", text_of(place.node)
    calls = [one for one in commands(script) if one.name.startswith("Invoke-Apply") or one.name == "Write-Action"]
    for call in calls:
        within = call.place.function
        assert within.startswith("Invoke-Apply") or is_guarded(functions(script)[within], call.place.node), call
    assert bool(changes(script)) == bool(calls) or issue_type == "disk_health"


@pytest.mark.parametrize(
    "broken",
    [
        "function Invoke-Fix { $Process.Kill() }",
        "function Invoke-Fix { $Process.PriorityClass = 1 }",
        "function Invoke-Fix { & $Engine system prune }",
    ],
)
def test_a_script_that_changes_something_in_its_plan_would_be_found(broken: str) -> None:
    assert [place.function for place in changes(broken)] == ["Invoke-Fix"]


def test_a_call_before_the_plan_has_ended_would_be_found() -> None:
    script = FIXES["cpu_high"].replace(
        "    $Load = Measure-Load", "    Invoke-Apply $Targets 1 1\n    $Load = Measure-Load", 1
    )
    calls = [one.place.node for one in commands(script) if one.name == "Invoke-Apply"]
    assert [is_guarded(functions(script)["Invoke-Fix"], call) for call in calls] == [False, True]


@pytest.mark.parametrize("issue_type", ENDS_PROCESSES)
def test_a_process_is_asked_before_it_is_stopped_and_is_held_open_so_that_its_id_stays_its_own(issue_type: str) -> None:
    body = text_of(functions(FIXES[issue_type])["Invoke-ApplyEnd"])
    steps = ["Open-Process", "CloseMainWindow", "WaitForExit", "if (-not $Force)", "Kill"]
    assert sorted(steps, key=body.index) == steps
    assert "$Process.Handle" in text_of(functions(FIXES[issue_type])["Open-Process"])


def test_all_parameters_have_their_defaults_when_none_is_given() -> None:
    for template in TEMPLATES.values():
        needed = {one.name: 5 if one.type == "integer" else "x" for one in template.remedy.parameters if one.required}
        assert complete(template.remedy, needed).keys() == {one.name for one in template.remedy.parameters}
